package tools

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeSessions is one session of as many messages as it says.
type fakeSessions struct {
	messages int
	err      error
	asked    *string
}

func (f fakeSessions) note(ctx context.Context, format string, args ...any) error {
	*f.asked = fmt.Sprintf(format, args...)
	return errors.Join(f.err, ctx.Err())
}

func (f fakeSessions) info() SessionInfo {
	return SessionInfo{ID: "s1", Title: "cats", Used: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Messages: f.messages}
}

func (f fakeSessions) list(n int) []SessionMessage {
	var list []SessionMessage
	for i := range n {
		list = append(list, SessionMessage{ID: int64(i + 1), Role: "user", Text: fmt.Sprintf("m%d\nmore%s", i+1, strings.Repeat("ä", 3000))})
	}
	return list
}

func (f fakeSessions) Search(ctx context.Context, query, without string, limit, hits int) ([]SessionInfo, error) {
	err := f.note(ctx, "search %s without %s, %d of %d", query, without, limit, hits)
	if query == "nothing" {
		return nil, err
	}
	info := f.info()
	info.Hits = []SessionMessage{{ID: 7, Role: "assistant", Text: "a «cat»"}}
	return []SessionInfo{info}, err
}

func (f fakeSessions) Latest(ctx context.Context, without string, limit int) ([]SessionInfo, error) {
	return []SessionInfo{f.info()}, f.note(ctx, "latest without %s, %d", without, limit)
}

func (f fakeSessions) Session(ctx context.Context, id string) (SessionInfo, bool, error) {
	return f.info(), id == "s1", f.note(ctx, "session %s", id)
}

func (f fakeSessions) Around(ctx context.Context, _ string, id int64, window int) ([]SessionMessage, error) {
	return []SessionMessage{{ID: id, Role: "tool", Text: "found"}, {ID: id + 1, Role: "assistant"}}, f.note(ctx, "around %d, %d", id, window)
}

func (f fakeSessions) Ends(ctx context.Context, _ string, first, last int) ([]SessionMessage, error) {
	return f.list(min(f.messages, first+last)), f.note(ctx, "ends %d, %d", first, last)
}

func newSessionSet(t *testing.T, f fakeSessions) *Set {
	t.Helper()
	set, err := NewSet(kept(Options{Workspace: filepath.Join(t.TempDir(), "w"), Sandbox: box, Sessions: f}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set
}

func TestSessionSearch(t *testing.T) {
	t.Parallel()
	asked := ""
	set := newSessionSet(t, fakeSessions{messages: 2, asked: &asked})
	ctx := WithTurn(t.Context(), Turn{SessionID: "now"})
	head := "2026-01-02 03:04:05  session s1  cats (2 messages)\n"
	tests := []struct{ arguments, asked, want string }{
		{`{"query":" cat "}`, "search cat without now, 5 of 3", head + "  #7 assistant: a «cat»\n"},
		{`{"query":"cat","limit":500}`, "search cat without now, 20 of 3", head},
		{`{"query":"nothing"}`, "search nothing without now, 5 of 3", "Nothing was found"},
		{``, "latest without now, 5", head},
		{`{"query":"","limit":-1}`, "latest without now, 1", head},
		{`{"session_id":"s1"}`, "ends 20, 10", head + "  #1 user: m1\n    more"},
		{`{"session_id":"s1","around_message_id":9,"window":99}`, "around 9, 20", head + "  #9 tool: found\n"},
		{`{"session_id":"no"}`, "session no", "There is no session no."},
		{`{"session_id":"now"}`, "", "That is this session"},
		{`{"around_message_id":9}`, "", "around_message_id needs the session_id"},
		{`{"session_id":"s1","around_message_id":"x"}`, "", "the argument around_message_id must be an integer"},
		{`{"limit":"all"}`, "", "the argument limit must be an integer"},
		{`{"query":"cut`, "", "cut off"},
	}
	for _, test := range tests {
		asked = ""
		got := call(ctx, t, set, "session_search", test.arguments)
		if asked != test.asked || !strings.Contains(got.Text, test.want) {
			t.Errorf("%s: asked %q, got %s", test.arguments, asked, got.Text)
		}
	}
	if !set.Concurrent("session_search") {
		t.Error("it only reads")
	}
	none, _ := newSet(t)
	expect(t, call(ctx, t, none, "session_search", `{}`), true, "No sessions are kept here.")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := set.Run(cancelled, toolCall("session_search", `{"query":"cat"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestSessionSearchIsBounded(t *testing.T) {
	t.Parallel()
	asked := ""
	set := newSessionSet(t, fakeSessions{messages: 100, asked: &asked})
	got := call(t.Context(), t, set, "session_search", `{"session_id":"s1"}`)
	expect(t, got, false, "[cut off here; ask for less]")
	if len(got.Text) > maxSessionBytes+100 {
		t.Errorf("%d bytes", len(got.Text))
	}
	broken := newSessionSet(t, fakeSessions{asked: &asked, err: errors.New("disk is gone")})
	expect(t, call(t.Context(), t, broken, "session_search", `{}`), true, "cannot be read: disk is gone")
}
