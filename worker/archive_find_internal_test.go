package worker

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/store"
	"hermes/worker/tools"
)

// named records a session, and with a name its conversation.
func named(t *testing.T, database *store.Store, id, source, name string) {
	t.Helper()
	run := "run " + id
	err := database.BeginRun(t.Context(), store.Session{ID: id, Source: source}, store.Run{ID: run}, store.Message{Body: []byte(`{}`)})
	if err == nil && name != "" {
		head, headErr := database.ConversationHead(t.Context(), name)
		if headErr != nil {
			t.Fatal(headErr)
		}
		response := store.Response{PreviousID: head, ID: "resp " + id, RunID: run, Conversation: name, Status: store.ResponseCompleted, Body: []byte("{}"), Input: []byte("[]"), Transcript: []byte("[]")}
		err = database.PutResponse(t.Context(), response, store.Put{Keep: 100, Head: true})
	}
	if err != nil {
		t.Fatal(err)
	}
}

//nolint:tparallel // the archive is closed when the test returns
func TestSessionsAreFoundByWhatAPersonTypes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	archive := OpenArchive(path)
	defer archive.Close()
	if _, err := archive.Find(t.Context(), "x", 1); !errors.Is(err, ErrNoSession) {
		t.Errorf("where nothing is: %v", err)
	}
	if _, err := archive.LastTerminal(t.Context()); !errors.Is(err, ErrNoSession) {
		t.Errorf("where nothing is: %v", err)
	}
	database := store.Open(path, store.Options{})
	defer database.Close()
	for _, s := range [][3]string{
		{"0197aaaa-1", "chat", ""},
		{"0197aaaa-2", api.SourceTerminal, "work"},
		{"0197bbbb", api.SourceTerminal, "garden"},
		{"0197bbbb-3", "responses", "0197cccc"},
		{"0197dddd", api.SourceTerminal, ""},
		{"0197eeee", "responses", "twice"},
		{"0197ffff", "responses", "twice"},
	} {
		named(t, database, s[0], s[1], s[2])
	}
	tests := []struct {
		name, ref string
		letters   int
		want      string
		err       error
	}{
		{"an id", "0197aaaa-1", 1, "0197aaaa-1", nil},
		{"an id that others begin with", "0197bbbb", 1, "0197bbbb", nil},
		{"a name", "work", 1, "0197aaaa-2", nil},
		{"a name of two, the later one", "twice", 1, "0197ffff", nil},
		{"a name that looks like an id", "0197cccc", 1, "0197bbbb-3", nil},
		{"the beginning of one", "0197d", 1, "0197dddd", nil},
		{"the beginning of a name", "gard", 1, "", ErrNoSession},
		{"too short a beginning", "0197d", 8, "", ErrNoSession},
		{"nothing", "", 1, "", ErrNoSession},
		{"something else", "0198", 1, "", ErrNoSession},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := archive.Find(t.Context(), test.ref, test.letters)
			if got.ID != test.want || !errors.Is(err, test.err) {
				t.Errorf("found %+v, %v", got, err)
			}
		})
	}
	_, err := archive.Find(t.Context(), "0197aaaa", 8)
	ambiguous, ok := errors.AsType[*AmbiguousError](err)
	if !ok || !slices.Equal(ambiguous.IDs, []string{"0197aaaa-2", "0197aaaa-1"}) || ambiguous.More {
		t.Errorf("several: %v", err)
	}
	if _, err := archive.Find(context.Background(), "0197", 1); err == nil || len(err.Error()) > 200 {
		t.Errorf("several: %v", err)
	}
	// The last one of the terminal has no name any more.
	if last, err := archive.LastTerminal(t.Context()); err != nil || last.ID != "0197bbbb" || last.Name != "garden" {
		t.Errorf("the last one is %+v, %v", last, err)
	}
	list, err := archive.List(t.Context(), 10, false)
	if err != nil || len(list) != 7 || list[2].Name != "" || list[4].Name != "garden" {
		t.Errorf("listed %+v, %v", list, err)
	}
	if transcript, err := archive.Read(t.Context(), "work"); err != nil || transcript.ID != "0197aaaa-2" || transcript.Name != "work" {
		t.Errorf("read %+v, %v", transcript, err)
	}
}

// What a client's own tool gave is shown as the result of its call, not as words of a
// person.
func TestResultsOfClientsAreShownAsResults(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	database := store.Open(path, store.Options{})
	defer database.Close()
	r := recorder{store: database}
	asked := llm.Message{Role: llm.Assistant, ToolCalls: []llm.ToolCall{{ID: "c1", Name: "order_pizza", Arguments: "{}"}}}
	given := llm.TextMessage(llm.Tool, "it is on its way")
	given.ToolCallID = "c1"
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(r.Begin(t.Context(), agent.Run{ID: "r1", SessionID: "s", Input: llm.TextMessage(llm.User, "pizza")}))
	must(r.Assistant(t.Context(), "r1", asked))
	must(r.ToolFinished(t.Context(), "r1", "c1", tools.Result{Text: "left to the client"}, time.Now()))
	must(r.End(t.Context(), "r1", agent.End{Status: agent.StatusDone}))
	must(r.Begin(t.Context(), agent.Run{ID: "r2", SessionID: "s", Input: given}))
	archive := OpenArchive(path)
	defer archive.Close()
	whole, err := archive.Read(t.Context(), "s")
	must(err)
	last := whole.Entries[len(whole.Entries)-1]
	if last.Role != store.RoleTool || last.Tool != "order_pizza" || last.CallID != "c1" || last.Text != "it is on its way" {
		t.Errorf("the last entry is %+v", last)
	}
}
