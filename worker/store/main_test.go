package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hermes/worker/store"
)

// TestMain makes the test binary the process that some tests kill or starve:
// see child_test.go.
// They end by syscall.Exit: os.Exit has the race detector wait for a second first.
func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		syscall.Exit(works()[os.Getenv(workEnv)](context.Background(), path))
	}
	goleak.VerifyTestMain(m)
}

// start is the clock of the tests: it stands still.
func start() time.Time { return time.UnixMicro(1_700_000_000_000_001) }

// open returns a Store on a new file.
func open(t *testing.T) *store.Store {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "data", "state.db"), store.Options{})
}

func reopen(t *testing.T, path string, opts store.Options) *store.Store {
	t.Helper()
	if opts.Now == nil {
		opts.Now = start
	}
	s := store.Open(path, opts)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// begin records a run with the message "hi".
func begin(t *testing.T, s *store.Store, session, run string) {
	t.Helper()
	must(t, s.BeginRun(t.Context(), store.Session{ID: session, Source: "chat"}, store.Run{ID: run}, store.Message{Body: []byte("hi")}))
}

// ask records a message of the model that asks for tools with the given ids.
func ask(t *testing.T, s *store.Store, run string, ids ...string) {
	t.Helper()
	var calls []store.ToolCall
	for _, id := range ids {
		calls = append(calls, store.ToolCall{ID: id, Name: "terminal", Arguments: `{"command":"pwd"}`})
	}
	must(t, s.AppendAssistant(t.Context(), run, store.Message{Body: []byte("calls")}, calls))
}

// transcript shows a session's messages, one a line.
func transcript(t *testing.T, s *store.Store, session string) []string {
	t.Helper()
	messages, err := s.Messages(t.Context(), session)
	must(t, err)
	var lines []string
	for _, m := range messages {
		line := m.Role + " " + string(m.Body)
		if m.Role == store.RoleTool {
			line = fmt.Sprintf("%s %s=%s", m.Role, m.ToolCallID, m.Text)
		}
		lines = append(lines, line)
	}
	return lines
}

// raw opens the file as any other program would.
func raw(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// write makes a file that no Store made.
func write(t *testing.T, path string, content []byte, mode fs.FileMode) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(path, content, mode))
}
