package worker

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/store"
	"hermes/worker/tools"
)

// What a turn records is what a search of the agent and of the command line finds.
func TestSessionsAreFoundAndRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	database := store.Open(path, store.Options{})
	defer database.Close()
	r, s, ctx := recorder{store: database}, sessions{database}, t.Context()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	long := "Where is Timbuktu? " + strings.Repeat("ä", searchableBytes)
	check(r.Begin(ctx, agent.Run{ID: "r", SessionID: "s", Source: "chat", Input: llm.TextMessage(llm.User, long)}))
	asks := llm.TextMessage(llm.Assistant, "")
	asks.ToolCalls = []llm.ToolCall{{ID: "c", Name: "web_search", Arguments: `{"query":"Timbuktu"}`}}
	check(r.Assistant(ctx, "r", asks))
	check(r.ToolFinished(ctx, "r", "c", tools.Result{Text: "in Mali"}, time.Now()))
	final := llm.TextMessage(llm.Assistant, "Which one do you mean?")
	check(r.End(ctx, "r", agent.End{Status: agent.StatusDone, Final: &final, AwaitingUser: true}))

	if run, err := database.Run(ctx, "r"); err != nil || !run.AwaitingUser {
		t.Errorf("run %+v (%v)", run, err)
	}
	for query, want := range map[string]string{"timbuktu": "user", "mali": "tool", "which": "assistant"} {
		found, err := s.Search(ctx, query, "", 5, 3)
		check(err)
		if len(found) != 1 || found[0].Hits[0].Role != want {
			t.Errorf("%s: %+v", query, found)
		}
	}
	if found, err := s.Search(ctx, "timbuktu", "s", 5, 3); err != nil || len(found) > 0 {
		t.Errorf("the current session is found: %v (%v)", found, err)
	}
	if _, found, err := s.Session(ctx, "no"); err != nil || found {
		t.Errorf("found %v (%v)", found, err)
	}
	archive := OpenArchive(path)
	defer archive.Close()
	transcript, err := archive.Read(ctx, "s")
	check(err)
	entries := transcript.Entries
	if len(entries) != 4 || entries[0].Text != long || entries[1].Calls[0].Name != "web_search" || entries[2].Tool != "web_search" || entries[3].Text != final.Text() {
		t.Errorf("entries %+v", entries)
	}
	if _, err := archive.Read(ctx, "no"); !errors.Is(err, ErrNoSession) {
		t.Errorf("error %v", err)
	}
}
