package worker

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/openai"
	"hermes/worker/store"
)

// ask sends a chat request as a client on this machine does.
func ask(t *testing.T, handler http.Handler, request openai.ChatRequest) openai.Choice {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/v1/chat/completions", strings.NewReader(string(body)))
	r.RemoteAddr = "127.0.0.1:9"
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	var whole openai.Completion
	if err := json.Unmarshal(answer, &whole); err != nil || len(whole.Choices) != 1 {
		t.Fatalf("got %d %s: %v", w.Code, answer, err)
	}
	return whole.Choices[0]
}

// TestAChatWithToolsOnBothSides plays three requests of a client that keeps the
// history itself and has a tool of its own.
func TestAChatWithToolsOnBothSides(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	s := store.Open(filepath.Join(t.TempDir(), "state.db"), store.Options{Log: log})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	script := llmtest.NewScript(
		llmtest.Use(llm.ToolCall{ID: "c1", Name: "look", Arguments: "{}"}),
		llmtest.Answer{Text: []string{"Which colour?"}, Calls: []llm.ToolCall{
			{ID: "c2", Name: "look", Arguments: "{}"}, {ID: "c3", Name: "ask", Arguments: `{"what": "colour"}`},
		}},
		llmtest.Say("Blue it is."),
		llmtest.Say("You are welcome."),
	)
	turns := agent.New(agent.Options{Client: script, Recorder: recorder{store: s}, Log: log})
	server := api.New(api.Options{Agent: turns, ModelName: "alice", Streaming: true, Transcripts: transcripts{s}, Log: log})

	request := openai.ChatRequest{
		Messages: []openai.Message{{Role: "user", Content: openai.TextContent("paint it")}},
		Tools:    []openai.Tool{{Type: "function", Function: openai.Function{Name: "ask"}}},
	}
	first := ask(t, server, request)
	calls := first.Message.ToolCalls
	if first.FinishReason != "tool_calls" || len(calls) != 1 || calls[0].ID != "c3" || calls[0].Function.Arguments != `{"what": "colour"}` {
		t.Fatalf("got %+v", first)
	}
	calls[0].Function.Arguments = `{"what":"colour"}` // as a client that decodes it
	request.Messages = append(request.Messages,
		openai.Message{Role: "assistant", Content: first.Message.Content, ToolCalls: calls},
		openai.Message{Role: "tool", ToolCallID: "c3", Content: openai.TextContent("blue")})
	second := ask(t, server, request)
	if second.Message.Content.String() != "Blue it is." || second.FinishReason != "stop" {
		t.Fatalf("got %+v", second)
	}
	request.Messages = append(request.Messages,
		openai.Message{Role: "assistant", Content: second.Message.Content},
		openai.Message{Role: "user", Content: openai.TextContent("thanks")})
	ask(t, server, request)

	var roles []string
	for _, message := range script.Requests()[3].Messages {
		roles = append(roles, string(message.Role)+message.ToolCallID)
	}
	if got := strings.Join(roles, " "); got != "user assistant toolc1 assistant toolc2 toolc3 assistant user" {
		t.Errorf("the model was sent %s", got)
	}
	checkRecord(t, s)
}

// checkRecord looks at what is kept of the first turn of that chat.
func checkRecord(t *testing.T, s *store.Store) {
	t.Helper()
	sessions, err := s.Sessions(t.Context(), 10)
	if err != nil || len(sessions) != 1 {
		t.Fatalf("%d sessions, %v", len(sessions), err)
	}
	runs, err := s.Runs(t.Context(), sessions[0].ID)
	if err != nil || len(runs) != 3 || runs[0].Status != store.StatusDone {
		t.Fatalf("runs are %+v, %v", runs, err)
	}
	calls, err := s.ToolCalls(t.Context(), runs[0].ID)
	if err != nil || len(calls) != 3 || calls[2].ID != "c3" || calls[2].Status != store.CallDone || calls[2].Result != "left to the client" || !calls[2].Started.IsZero() {
		t.Errorf("calls are %+v, %v", calls, err)
	}
}
