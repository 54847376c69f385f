package worker

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hermes/worker/llm/llmtest"
	"hermes/worker/openai"
)

// eventsIn returns the whole events of a stream.
func eventsIn(stream string) []string {
	events := strings.SplitAfter(stream, "\n\n")
	return events[:len(events)-1]
}

// responseOf reads the response in an event, or a whole answer.
func responseOf(t *testing.T, text string) openai.Response {
	t.Helper()
	if _, data, ok := strings.Cut(text, "data: "); ok {
		text = data
	}
	var event struct {
		Response *openai.Response `json:"response"`
	}
	if err := json.Unmarshal([]byte(text), &event); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if event.Response != nil {
		return *event.Response
	}
	var response openai.Response
	if err := json.Unmarshal([]byte(text), &response); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return response
}

// untilEnded polls a response until it has ended, or its worker has.
func (p *profile) untilEnded(id string, gone <-chan struct{}) (openai.Response, bool) {
	p.t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if got, err := p.send("GET", "/v1/responses/"+id, ""); err == nil {
			if response := responseOf(p.t, got); response.Status != openai.StatusQueued && response.Status != openai.StatusInProgress {
				return response, true
			}
		}
		select {
		case <-tick.C:
		case <-gone:
			return openai.Response{}, false
		case <-deadline:
			p.t.Fatalf("response %s did not end", id)
		}
	}
}

// checkStream reads the stream of a response that has ended, from an event on.
func checkStream(t *testing.T, p *profile, id string, after int) []string {
	t.Helper()
	query := "?stream=true"
	if after >= 0 {
		query += fmt.Sprint("&starting_after=", after)
	}
	stream, err := p.send("GET", "/v1/responses/"+id+query, "")
	events := eventsIn(stream)
	if err != nil || len(events) < 2 || events[len(events)-1] != "data: [DONE]\n\n" || !strings.HasPrefix(events[len(events)-2], "event: response.completed\n") {
		t.Fatalf("after %d the stream is %v %s", after, err, stream)
	}
	for i, event := range events[:len(events)-1] {
		if after < 0 && !strings.HasSuffix(event, fmt.Sprintf(`"sequence_number":%d}`+"\n\n", i)) {
			t.Errorf("event %d is %s", i, event)
		}
	}
	return events
}

// A response in the background goes on in the next process under the same id. Who
// comes back has all of it: the items and the events that there were, as they were.
func TestKilledAtEveryCommitInTheBackground(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	seen := map[*profile][]string{} // the events before the kill
	create := func(p *profile) (string, error) {
		return p.send("POST", "/v1/responses", fmt.Sprintf(`{"input":%q,"background":true,"stream":true}`, crashTask), "Idempotency-Key: k")
	}
	crashes(t, true, func(p *profile, _ int) error {
		stream, err := create(p)
		mu.Lock()
		defer mu.Unlock()
		seen[p] = eventsIn(stream)
		return err
	}, func(p *profile, n int) llmtest.Call {
		mu.Lock()
		before := seen[p]
		mu.Unlock()
		var id string
		if len(before) > 0 {
			id = responseOf(t, before[0]).ID
		} else { // who has no answer asks again
			got, err := create(p)
			if err != nil {
				p.t.Fatalf("asked again: %v", err)
			}
			id = responseOf(p.t, eventsIn(got)[0]).ID
		}
		response, _ := p.untilEnded(id, nil)
		counts := map[string]int{}
		for _, item := range response.Output {
			switch item := item.(type) {
			case openai.FunctionCallItem:
				counts["calls"]++
			case openai.FunctionOutputItem:
				counts["outputs"]++
			case openai.MessageItem:
				counts[openai.PartsText(item.Content)]++
			default:
				t.Errorf("kill %d: there is a %T", n, item)
			}
		}
		if response.Status != openai.StatusCompleted || counts["calls"] != 10 || counts["outputs"] != 10 || counts[crashAnswer] != 1 || counts["Step 0. "] != 1 {
			t.Errorf("kill %d: it ended as %s with %v", n, response.Status, counts)
		}
		events := checkStream(t, p, id, -1)
		stored := 0 // what was sent up to the last event of a tool was stored before
		for i, event := range before {
			if strings.Contains(event, `"type":"function_call`) && !strings.Contains(event, "response.created") {
				stored = i
			}
		}
		for i := range stored + 1 {
			if len(before) > 0 && (i >= len(events) || events[i] != before[i]) {
				t.Errorf("kill %d: event %d was\n%s", n, i, before[i])
			}
		}
		if len(before) > 0 {
			checkStream(t, p, id, len(before)-1)
		}
		from := len(p.upstream.Calls())
		if got, err := p.send("POST", "/v1/responses", fmt.Sprintf(`{"input":"go on","previous_response_id":%q}`, id)); err != nil {
			t.Errorf("the next request: %v %s", err, got)
		}
		return p.upstream.Calls()[from]
	})
}

// A turn that takes its process down each time comes to an end, and says why.
func TestKilledThreeTimesInTheBackground(t *testing.T) {
	t.Parallel()
	p := newProfile(t, func(llmtest.Call) llmtest.Reply {
		return llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "terminal", Arguments: `{"command":"echo begun >> log; sleep 86387"}`}}}
	})
	w := p.worker("")
	got, err := p.send("POST", "/v1/responses", `{"input":"do it","background":true}`)
	if err != nil {
		t.Fatal(err)
	}
	id := responseOf(t, got).ID
	for i := range 3 {
		until(t, "the tool runs", func() bool { return strings.Count(p.file("log"), "begun") == i+1 })
		w.kill()
		w = p.worker("")
	}
	response, _ := p.untilEnded(id, nil)
	if response.Status != openai.StatusFailed || response.Error == nil || !strings.Contains(response.Error.Message, "stopped 3 times") || len(response.Output) != 6 {
		t.Errorf("it ended as %s, %+v, with %d items", response.Status, response.Error, len(response.Output))
	}
	if n := strings.Count(p.file("log"), "begun"); n != 3 {
		t.Errorf("the tool ran %d times", n)
	}
}

// What was cancelled stays so; what had not begun begins, in its order.
func TestCancelledAndQueuedAfterAKill(t *testing.T) {
	t.Parallel()
	p := newProfile(t, llmtest.Tiny)
	w := p.worker("")
	begin := func(input, conversation string) string {
		t.Helper()
		got, err := p.send("POST", "/v1/responses", fmt.Sprintf(`{"input":%q,"background":true,"conversation":%q}`, input, conversation))
		if err != nil {
			t.Fatal(err)
		}
		return responseOf(t, got).ID
	}
	cancelled := begin("run `sleep 86386`", "a")
	until(t, "the model was asked", func() bool { return len(p.upstream.Calls()) == 1 })
	if got, err := p.send("POST", "/v1/responses/"+cancelled+"/cancel", ""); err != nil || responseOf(t, got).Status != openai.StatusCancelled {
		t.Fatalf("cancel: %v %s", err, got)
	}
	first := begin("run `echo begun >> log; [ $(wc -l < log) -gt 1 ] || sleep 86386`", "b")
	until(t, "the tool runs", func() bool { return p.file("log") != "" })
	second := begin("say second", "b")
	w.kill()
	p.worker("")
	last, err := p.send("POST", "/v1/responses", `{"input":"say last","conversation":"b"}`)
	if err != nil || responseOf(t, last).Status != openai.StatusCompleted {
		t.Errorf("the next turn of the conversation: %v %s", err, last)
	}
	for id, want := range map[string]string{cancelled: openai.StatusCancelled, first: openai.StatusCompleted, second: openai.StatusCompleted} {
		if response, _ := p.untilEnded(id, nil); response.Status != want {
			t.Errorf("it ended as %s, want %s", response.Status, want)
		}
	}
	calls := p.upstream.Calls()
	var asked []string
	for _, message := range calls[len(calls)-1].Messages {
		if message.Role == "user" && !strings.HasPrefix(message.Text, "[") {
			asked = append(asked, message.Text[:8])
		}
	}
	if got := strings.Join(asked, "|"); got != "run `ech|say seco|say last" {
		t.Errorf("the conversation is %s", got)
	}
	if syscall.Kill(w.cmd.Process.Pid, 0) == nil {
		t.Error("the first worker lives")
	}
}

// until polls for what a process does in its own time.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}
