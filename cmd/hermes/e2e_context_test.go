package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"hermes/worker/llm/llmtest"
	"hermes/worker/openai"
)

const (
	smallWindow = 16_000
	roseTask    = "water the roses on Friday"
)

// forgetful is a model with a small window that obeys plain commands and writes
// summaries. Asked to count, it makes calls of about 4 KB each, one after the other.
func forgetful(calls int) func(llmtest.Call) llmtest.Reply {
	var counted atomic.Int32
	return llmtest.Windowed(smallWindow, func(call llmtest.Call) llmtest.Reply {
		switch {
		case strings.HasPrefix(call.System(), "You write the notes"):
			return llmtest.Text("Lines were counted, again and again.")
		case !strings.HasPrefix(call.LastUser(), "count"):
			return llmtest.Tiny(call)
		}
		n := int(counted.Add(1))
		if n > calls {
			return llmtest.Text("all are counted")
		}
		return llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "terminal", Arguments: fmt.Sprintf(`{"command":"seq %d000 %d700"}`, 9+n, 9+n)}}}
	})
}

// longTurn is what is said in one of the turns.
func longTurn(turn int) string {
	said := fmt.Sprintf("turn %d of the garden, please look at every bed\n", turn)
	switch {
	case turn == 1:
		said += `call todo {"todos":[{"id":"1","content":"` + roseTask + `","status":"pending"}]}` + "\n"
	case turn%5 == 0:
		said += fmt.Sprintf("run `seq %d000 %d800`\n", turn, turn)
	}
	return said + fmt.Sprintf("say answer %d: %s", turn, strings.Repeat("all is well in the beds, ", 20))
}

// wholeLife checks what the model was sent in a long conversation: no request has
// lost its beginning or the open task, and each begins as the one before, but for a
// few. It returns how many were refused, and how many were for summaries.
func wholeLife(t *testing.T, calls []llmtest.Call, turns int) (refused, summaries int) {
	t.Helper()
	before, anew := "", 0
	for _, call := range calls {
		switch {
		case llmtest.Tokens(call) > smallWindow:
			refused++
			continue
		case strings.HasPrefix(call.System(), "You write the notes"):
			summaries++
			continue
		}
		var body struct {
			Messages json.RawMessage `json:"messages"`
		}
		if err := json.Unmarshal(call.Body, &body); err != nil {
			t.Fatal(err)
		}
		messages := strings.TrimSuffix(string(body.Messages), "]")
		if !strings.HasPrefix(messages, before) {
			anew++
		}
		before = messages
		if !strings.Contains(messages, "turn 1 of the garden") || !strings.Contains(messages, roseTask) {
			t.Fatalf("a request has lost something: %.3000s", messages)
		}
	}
	t.Logf("%d requests, %d refused, %d summaries, %d begin anew", len(calls), refused, summaries, anew)
	if summaries < 1 || anew > turns/2 {
		t.Errorf("%d summaries, %d requests begin anew in %d turns", summaries, anew, turns)
	}
	return refused, summaries
}

// A client that sends the whole chat each time talks for long to a model of a small
// window, and its worker is killed in between. It hears of neither.
func TestALongChatInASmallWindow(t *testing.T) {
	t.Parallel()
	const turns = 60
	m := newMachineWith(t, forgetful(0))
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "model.context_length", fmt.Sprint(smallWindow))
	g := m.gateway(1, "--all")
	var request openai.ChatRequest
	for turn := 1; turn <= turns; turn++ {
		request.Messages = append(request.Messages, openai.Message{Role: "user", Content: openai.TextContent(longTurn(turn))})
		body, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		resp, got, err := alice.call(t.Context(), http.MethodPost, "/v1/chat/completions", string(body))
		var answer openai.Completion
		if err != nil || resp.StatusCode != http.StatusOK || json.Unmarshal([]byte(got), &answer) != nil {
			t.Fatalf("turn %d: %v %s", turn, err, got)
		}
		text := answer.Choices[0].Message.Content
		if !strings.Contains(text.String(), fmt.Sprintf("answer %d: ", turn)) {
			t.Fatalf("turn %d was answered %q", turn, text.String())
		}
		request.Messages = append(request.Messages, openai.Message{Role: "assistant", Content: text})
		if turn == turns*2/3 {
			if err := syscall.Kill(g.worker(alice), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, patience, "alice answers again", func() bool {
				code, _ := alice.get(t, "/health")
				return code == http.StatusOK
			})
		}
	}
	if refused, _ := wholeLife(t, m.upstream.Calls(), turns); refused > 1 {
		t.Errorf("%d requests were refused although the window is known", refused)
	}
	g.stop()
	sessions := alice.sessions(t)
	if len(sessions) != 1 {
		t.Fatalf("there are %d sessions", len(sessions))
	}
	shown := m.run("-p", "alice", "session", "show", sessions[0].ID, "--json")
	for turn := 1; turn <= turns; turn++ {
		if !strings.Contains(shown, fmt.Sprintf("turn %d of the garden", turn)) || !strings.Contains(shown, fmt.Sprintf("answer %d: ", turn)) {
			t.Errorf("turn %d is not shown", turn)
		}
	}
	if !strings.Contains(shown, `20799\n20800`) || strings.Contains(shown, "For reference only") || strings.Contains(shown, "left out to save room") {
		t.Error("what is shown is not what was said")
	}
}

// The same over stored responses, with a model of which nobody knows how much it
// takes; at the end one turn with sixty calls.
func TestLongResponsesInAnUnknownWindow(t *testing.T) {
	t.Parallel()
	const turns, calls = 40, 60
	m := newMachineWith(t, forgetful(calls))
	bob := m.create("bob")
	m.gateway(1, "--all")
	previous := ""
	respond := func(input, want string) {
		t.Helper()
		request := map[string]any{"input": input}
		if previous != "" {
			request["previous_response_id"] = previous
		}
		body, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		response, got := bob.respond(t, string(body))
		if !strings.Contains(got, want) {
			t.Fatalf("%.80q was answered %.2000s", input, got)
		}
		previous = response.ID
	}
	for turn := 1; turn <= turns; turn++ {
		respond(longTurn(turn), fmt.Sprintf("answer %d: ", turn))
	}
	respond("count", "all are counted")
	refused, summaries := wholeLife(t, m.upstream.Calls(), turns+calls)
	if refused < 1 || refused > 10 || summaries > 12 {
		t.Errorf("%d requests were refused, %d summaries were made", refused, summaries)
	}
}
