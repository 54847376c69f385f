package store_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hermes/worker/store"
)

func TestATurnIsRecordedWhole(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	at := func(seconds int) time.Time { return start().Add(time.Duration(seconds) * time.Second) }

	run := store.Run{ID: "run", Source: "chat", RequestID: "req", Model: "tiny", Began: at(1)}
	must(t, s.BeginRun(ctx, store.Session{ID: "session", Source: "chat"}, run, store.Message{Body: []byte("question"), At: at(1)}))
	must(t, s.AppendAssistant(ctx, "run", store.Message{Body: []byte("two calls"), At: at(2)}, []store.ToolCall{
		{ID: "a", Name: "terminal", Arguments: `{"command":"pwd"}`},
		{ID: "b", Name: "read_file", Arguments: `{`},
	}))
	calls, err := s.ToolCalls(ctx, "run")
	must(t, err)
	if calls[0].Status != store.CallPending || calls[1].Status != store.CallPending {
		t.Errorf("calls begin as %+v", calls)
	}
	must(t, s.StartTool(ctx, "run", "a", at(3)))
	must(t, s.StartTool(ctx, "run", "b", at(3)))
	must(t, s.FinishTool(ctx, "run", "b", store.ToolResult{Text: "no such file", Failed: true, At: at(4)}))
	must(t, s.FinishTool(ctx, "run", "a", store.ToolResult{Text: "/workspace", At: at(5)}))
	end := store.End{Status: store.StatusDone, Usage: store.Usage{Input: 10, Output: 5, Cached: 2, Reasoning: 1}, Iterations: 2, Isolation: "FULL", At: at(6)}
	must(t, s.EndRun(ctx, "run", end, &store.Message{Body: []byte("answer"), At: at(6)}))

	run.SessionID, run.Status, run.Ended, run.Iterations, run.Usage = "session", store.StatusDone, at(6), 2, end.Usage
	run.Isolation = "FULL"
	if got, err := s.Run(ctx, "run"); err != nil || got != run {
		t.Errorf("run is\n%+v (%v), want\n%+v", got, err, run)
	}
	if got, err := s.Runs(ctx, "session"); err != nil || len(got) != 1 || got[0] != run {
		t.Errorf("runs are %+v (%v)", got, err)
	}
	if got, err := s.Session(ctx, "session"); err != nil || got != (store.Session{ID: "session", Source: "chat", Created: at(1), Updated: at(1)}) {
		t.Errorf("session is %+v (%v)", got, err)
	}
	wantCalls := []store.ToolCall{
		{ID: "a", RunID: "run", Name: "terminal", Arguments: `{"command":"pwd"}`, MessageID: 2, Position: 0, Status: store.CallDone, Result: "/workspace", Started: at(3), Ended: at(5)},
		{ID: "b", RunID: "run", Name: "read_file", Arguments: `{`, MessageID: 2, Position: 1, Status: store.CallFailed, Result: "no such file", Started: at(3), Ended: at(4)},
	}
	if got, err := s.ToolCalls(ctx, "run"); err != nil || !reflect.DeepEqual(got, wantCalls) {
		t.Errorf("calls are\n%+v (%v), want\n%+v", got, err, wantCalls)
	}
	wantMessages := []store.Message{
		{ID: 1, SessionID: "session", RunID: "run", Role: store.RoleUser, Body: []byte("question"), At: at(1)},
		{ID: 2, SessionID: "session", RunID: "run", Role: store.RoleAssistant, Body: []byte("two calls"), At: at(2)},
		{ID: 3, SessionID: "session", RunID: "run", Role: store.RoleTool, ToolCallID: "b", Text: "no such file", At: at(4)},
		{ID: 4, SessionID: "session", RunID: "run", Role: store.RoleTool, ToolCallID: "a", Text: "/workspace", At: at(5)},
		{ID: 5, SessionID: "session", RunID: "run", Role: store.RoleAssistant, Body: []byte("answer"), At: at(6)},
	}
	if got, err := s.Messages(ctx, "session"); err != nil || !reflect.DeepEqual(got, wantMessages) {
		t.Errorf("messages are\n%+v (%v), want\n%+v", got, err, wantMessages)
	}
}

func TestTimesDefaultToNow(t *testing.T) {
	t.Parallel()
	s := open(t)
	begin(t, s, "s", "r")
	ask(t, s, "r", "1")
	must(t, s.StartTool(t.Context(), "r", "1", time.Time{}))
	must(t, s.FinishTool(t.Context(), "r", "1", store.ToolResult{}))
	must(t, s.EndRun(t.Context(), "r", store.End{Status: store.StatusFailed, Error: "model is away"}, nil))
	run, err := s.Run(t.Context(), "r")
	must(t, err)
	if !run.Began.Equal(start()) || !run.Ended.Equal(start()) || run.Error != "model is away" {
		t.Errorf("run is %+v", run)
	}
	calls, err := s.ToolCalls(t.Context(), "r")
	must(t, err)
	if !calls[0].Started.Equal(start()) || !calls[0].Ended.Equal(start()) {
		t.Errorf("call is %+v", calls[0])
	}
}

func TestSessionsComeLatestFirst(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i, session := range []string{"a", "b", "c", "a"} {
		run := store.Run{ID: session + string(rune('0'+i)), Began: start().Add(time.Duration(i) * time.Hour)}
		must(t, s.BeginRun(t.Context(), store.Session{ID: session}, run, store.Message{}))
	}
	sessions, err := s.Sessions(t.Context(), 2)
	must(t, err)
	if len(sessions) != 2 || sessions[0].ID != "a" || sessions[1].ID != "c" {
		t.Errorf("sessions are %+v", sessions)
	}
	if !sessions[0].Created.Equal(start()) || !sessions[0].Updated.Equal(start().Add(3*time.Hour)) {
		t.Errorf("session a is %+v", sessions[0])
	}
}

func TestCallsWithoutResultEndWithTheirRun(t *testing.T) {
	t.Parallel()
	s := open(t)
	begin(t, s, "s", "r")
	ask(t, s, "r", "1", "2", "3")
	must(t, s.FinishTool(t.Context(), "r", "2", store.ToolResult{Text: "ok"}))
	must(t, s.EndRun(t.Context(), "r", store.End{Status: store.StatusCancelled}, &store.Message{Body: []byte("bye")}))
	want := []string{"user hi", "assistant calls", "tool 2=ok", "tool 1=" + store.Interrupted, "tool 3=" + store.Interrupted, "assistant bye"}
	if got := transcript(t, s, "s"); !slices.Equal(got, want) {
		t.Errorf("transcript is\n%q, want\n%q", got, want)
	}
}

func TestWhatIsOutOfOrderChangesNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	begin(t, s, "s", "r")
	ask(t, s, "r", "done", "open")
	must(t, s.FinishTool(ctx, "r", "done", store.ToolResult{Text: "ok"}))
	must(t, s.StartTool(ctx, "r", "open", time.Time{}))
	begin(t, s, "s", "ended")
	must(t, s.EndRun(ctx, "ended", store.End{Status: store.StatusDone}, nil))
	before := transcript(t, s, "s")

	end := store.End{Status: store.StatusDone}
	tests := []struct {
		name string
		do   func() error
		want error
		says string
	}{
		{"begin a run twice", func() error {
			return s.BeginRun(ctx, store.Session{ID: "s2"}, store.Run{ID: "r"}, store.Message{})
		}, store.ErrExists, `begin run: run "r": recorded already`},
		{"append to no run", func() error { return s.AppendAssistant(ctx, "x", store.Message{}, nil) }, store.ErrNotFound, `append message: run "x": not found`},
		{"append to an ended run", func() error { return s.AppendAssistant(ctx, "ended", store.Message{}, nil) }, store.ErrEnded, `append message: run "ended" is done: ended already`},
		{"ask for a call twice", func() error {
			return s.AppendAssistant(ctx, "r", store.Message{}, []store.ToolCall{{ID: "new"}, {ID: "open"}})
		}, store.ErrExists, `append message: tool call "open" of run "r": recorded already`},
		{"start no call", func() error { return s.StartTool(ctx, "r", "x", time.Time{}) }, store.ErrNotFound, `start tool call: tool call "x" of run "r": not found`},
		{"start a call twice", func() error { return s.StartTool(ctx, "r", "open", time.Time{}) }, store.ErrEnded, `tool call "open" of run "r" is running`},
		{"start an ended call", func() error { return s.StartTool(ctx, "r", "done", time.Time{}) }, store.ErrEnded, `tool call "done" of run "r" is done`},
		{"finish no call", func() error { return s.FinishTool(ctx, "r", "x", store.ToolResult{}) }, store.ErrNotFound, `finish tool call: tool call "x" of run "r": not found`},
		{"finish a call twice", func() error { return s.FinishTool(ctx, "r", "done", store.ToolResult{}) }, store.ErrEnded, `tool call "done" of run "r" is done`},
		{"end no run", func() error { return s.EndRun(ctx, "x", end, nil) }, store.ErrNotFound, `end run: run "x": not found`},
		{"end a run twice", func() error { return s.EndRun(ctx, "ended", end, &store.Message{}) }, store.ErrEnded, `end run: run "ended" is done: ended already`},
	}
	for _, test := range tests {
		err := test.do()
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
	if after := transcript(t, s, "s"); !slices.Equal(after, before) {
		t.Errorf("transcript is\n%q, was\n%q", after, before)
	}
	if _, err := s.Session(ctx, "s2"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a session was left behind (%v)", err)
	}
	if _, err := s.Run(ctx, "x"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("run x: %v", err)
	}
}
