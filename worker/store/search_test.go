package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hermes/worker/store"
)

// spoke records a run whose user says one thing and whose model answers another.
func spoke(tb testing.TB, s *store.Store, session, run, text, answer string) {
	tb.Helper()
	must(tb, s.BeginRun(tb.Context(), store.Session{ID: session, Source: "chat"}, store.Run{ID: run}, store.Message{Body: []byte("{}"), Text: text}))
	must(tb, s.EndRun(tb.Context(), run, store.End{Status: store.StatusDone}, &store.Message{Body: []byte("{}"), Text: answer}))
}

// found shows what a search finds: the sessions, and the snippets of each.
func found(t *testing.T, s *store.Store, search store.Search) string {
	t.Helper()
	search.Sessions, search.Hits = max(search.Sessions, 5), max(search.Hits, 2)
	list, err := s.Search(t.Context(), search)
	must(t, err)
	var out []string
	for _, f := range list {
		line := f.ID + ":"
		for _, hit := range f.Hits {
			line += fmt.Sprintf(" %s %q", hit.Role, hit.Snippet)
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func TestSearch(t *testing.T) {
	t.Parallel()
	s := open(t)
	spoke(t, s, "pets", "1", "My cat is called Mirabelle", "A lovely name.")
	spoke(t, s, "food", "2", "Jam of mirabelles, please. GRÖSSE: big", "Boil the fruit.")
	begin(t, s, "shell", "3")
	ask(t, s, "3", "call")
	must(t, s.FinishTool(t.Context(), "3", "call", store.ToolResult{Text: "no space left on device"}))
	must(t, s.EndRun(t.Context(), "3", store.End{Status: store.StatusDone, AwaitingUser: true}, nil))
	if run, err := s.Run(t.Context(), "3"); err != nil || !run.AwaitingUser {
		t.Errorf("the run is %+v (%v)", run, err)
	}
	tests := []struct{ name, text, without, want string }{
		{"a word", "mirabelle", "", `pets: user "My cat is called «Mirabelle»"`},
		{"all words", "cat mirabelle", "", `pets: user "My «cat» is called «Mirabelle»"`},
		{"any word", "fruit dragon", "", `food: assistant "Boil the «fruit»."`},
		{"no capitals, no accents", "grosse", "", `food: user "Jam of mirabelles, please. «GRÖSSE»: big"`},
		{"output of a tool", "device space", "", `shell: tool "no «space» left on «device»"`},
		{"a phrase", `"lovely name"`, "", `pets: assistant "A «lovely name»."`},
		{"no such phrase", `"name lovely"`, "", ""},
		{"the beginning of a word", "mirab*", "pets", `food: user "Jam of «mirabelles», please. GRÖSSE: big"`},
		{"not the session", "mirabelle", "pets", ""},
		{"operators are no words", "cat AND NOT dog", "", `pets: user "My «cat» is called Mirabelle"`},
		{"syntax is text", `text:"cat" NEAR( ^cat - + (`, "", `pets: user "My «cat» is called Mirabelle"`},
		{"nothing", " \" * ( ", "", ""},
		{"a NUL", "cat\x00", "", `pets: user "My «cat» is called Mirabelle"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := found(t, s, store.Search{Text: test.text, Without: test.without}); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestSearchFindsSessionsOnce(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i := range 30 {
		spoke(t, s, fmt.Sprint("s", i%10), fmt.Sprint(i), "the word", "the word again")
	}
	list, err := s.Search(t.Context(), store.Search{Text: "word", Sessions: 4, Hits: 3})
	must(t, err)
	if len(list) != 4 || len(list[0].Hits) != 3 || list[0].Title != "the word" || list[0].Messages != 6 || list[0].Runs != 3 {
		t.Errorf("found %+v", list)
	}
}

func TestSummariesHaveTitles(t *testing.T) {
	t.Parallel()
	s := open(t)
	spoke(t, s, "long", "1", "\n  How do\tI "+strings.Repeat("very ", 30)+"\x1b[2J much?", "x")
	begin(t, s, "mute", "2")
	list, err := s.Summaries(t.Context(), store.Latest{Limit: 10})
	must(t, err)
	var titles []string
	for _, summary := range list {
		titles = append(titles, summary.Title)
	}
	want := []string{"", "How do I" + strings.Repeat(" very", 10) + "…"}
	if !slices.Equal(titles, want) {
		t.Errorf("titles %q, want %q", titles, want)
	}
	if _, err := s.Summary(t.Context(), "no"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestExcerpts(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i := range 5 {
		spoke(t, s, "s", fmt.Sprint(i), fmt.Sprint("q", i), fmt.Sprint("a", i))
		spoke(t, s, "other", fmt.Sprint("o", i), "x", "x")
	}
	texts := func(messages []store.Message, err error) string {
		t.Helper()
		must(t, err)
		var all []string
		for _, m := range messages {
			all = append(all, m.Text)
		}
		return strings.Join(all, " ")
	}
	all, err := s.Messages(t.Context(), "s")
	must(t, err)
	for _, test := range []struct{ got, want string }{
		{texts(s.Around(t.Context(), "s", all[4].ID, 2)), "q1 a1 q2 a2 q3"},
		{texts(s.Around(t.Context(), "s", all[0].ID, 1)), "q0 a0"},
		{texts(s.Around(t.Context(), "s", 1<<40, 1)), "q4 a4"},
		{texts(s.Ends(t.Context(), "s", 3, 2)), "q0 a0 q1 q4 a4"},
		{texts(s.Ends(t.Context(), "s", 20, 10)), "q0 a0 q1 a1 q2 a2 q3 a3 q4 a4"},
		{texts(s.Ends(t.Context(), "no", 20, 10)), ""},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}

// What goes from the messages goes from the index with it.
func TestSearchForgetsWhatIsRemoved(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := reopen(t, path, store.Options{})
	spoke(t, s, "s", "1", "a secret "+strings.Repeat("word ", 10_000)+"beyond", "yes")
	if got := found(t, s, store.Search{Text: "secret"}); !strings.HasPrefix(got, "s:") {
		t.Errorf("found %q", got)
	}
	if got := found(t, s, store.Search{Text: "beyond"}); got != "" {
		t.Errorf("found %.100q behind what is searched", got)
	}
	spoke(t, s, "s", "2", "not indexed yet", "neither")
	db := raw(t, path)
	_, err := db.ExecContext(t.Context(), `
		PRAGMA foreign_keys = on;
		DELETE FROM sessions;
		INSERT INTO message_search (message_search, rank) VALUES ('integrity-check', 1)`)
	must(t, err)
	if got := found(t, s, store.Search{Text: "secret"}); got != "" {
		t.Errorf("found %.100q", got)
	}
}

func TestMigrationFillsTheSearch(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := raw(t, path)
	names, err := filepath.Glob("migrations/*.sql")
	must(t, err)
	before := slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, "_search.sql") })
	for _, name := range names[:before] {
		text, err := os.ReadFile(name)
		must(t, err)
		_, err = db.ExecContext(t.Context(), string(text))
		must(t, err)
	}
	_, err = db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA user_version = %d;
		INSERT INTO sessions VALUES ('s', 'chat', 1, 1);
		INSERT INTO runs (id, session_id, source, request_id, model, status, began_at) VALUES ('r', 's', 'chat', '', '', 'done', 1);
		INSERT INTO messages (session_id, run_id, role, text, body, created_at) VALUES
			('s', 'r', 'user', '', CAST('{"role":"user","parts":[{"text":"where is "},{"image_url":"data:x"},{"text":"Timbuktu?"}]}' AS BLOB), 1),
			('s', 'r', 'assistant', '', CAST('{"role":"assistant","tool_calls":[]}' AS BLOB), 1),
			('s', 'r', 'tool', 'in Mali', NULL, 1),
			('s', 'r', 'assistant', '', CAST('no JSON' AS BLOB), 1)`, before))
	must(t, err)
	readOnly := store.Open(path, store.Options{ReadOnly: true})
	if _, err := readOnly.Sessions(t.Context(), 1); !errors.Is(err, store.ErrOlder) {
		t.Errorf("error %v", err)
	}
	must(t, readOnly.Close())
	s := reopen(t, path, store.Options{})
	if got, want := found(t, s, store.Search{Text: "timbuktu"}), `s: user "where is «Timbuktu»?"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := found(t, s, store.Search{Text: "mali"}), `s: tool "in «Mali»"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "data", "state.db")
	reader := func() *store.Store { return reopen(t, path, store.Options{ReadOnly: true}) }
	if _, err := reader().Sessions(t.Context(), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a directory was made")
	}
	s := store.Open(path, store.Options{Now: start})
	spoke(t, s, "s", "1", "hello world", "hi")
	check := func(when string) {
		t.Helper()
		r := reader()
		if got := found(t, r, store.Search{Text: "world"}); got != `s: user "hello «world»"` {
			t.Errorf("%s: found %q", when, got)
		}
		if err := r.BeginRun(t.Context(), store.Session{ID: "x"}, store.Run{ID: "x"}, store.Message{}); err == nil {
			t.Errorf("%s: it was written", when)
		}
	}
	must(t, s.Checkpoint(t.Context()))
	check("beside a worker")
	spoke(t, s, "s", "2", "more", "hi")
	must(t, s.Close())
	before, err := os.ReadFile(path)
	must(t, err)
	check("without a worker")
	after, err := os.ReadFile(path)
	must(t, err)
	if string(before) != string(after) {
		t.Error("the file was changed")
	}
	spoke(t, reopen(t, path, store.Options{Recover: true}), "s", "3", "after", "hi")
}

func TestTasks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := reopen(t, path, store.Options{})
	begin(t, s, "s", "r")
	if list, err := s.Tasks(t.Context(), "s"); err != nil || list != nil {
		t.Errorf("no list is %q (%v)", list, err)
	}
	add := func(text string) error {
		return s.ChangeTasks(t.Context(), "s", func(list []byte) ([]byte, error) { return append(list, text...), nil })
	}
	must(t, add("one"))
	must(t, add(" two"))
	refused := errors.New("refused")
	if err := s.ChangeTasks(t.Context(), "s", func([]byte) ([]byte, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("error %v", err)
	}
	if err := s.ChangeTasks(t.Context(), "no", func(list []byte) ([]byte, error) { return list, nil }); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("error %v", err)
	}
	if list, err := reopen(t, path, store.Options{}).Tasks(t.Context(), "s"); err != nil || string(list) != "one two" {
		t.Errorf("the list is %q (%v)", list, err)
	}
}

// sentence is some words that are used about as unevenly as those of a language.
func sentence(random *rand.Rand, words int) string {
	zipf := rand.NewZipf(random, 1.1, 2, 20_000)
	var text strings.Builder
	for range words {
		fmt.Fprintf(&text, "w%d ", zipf.Uint64())
	}
	return text.String()
}

// BenchmarkSearch is over 20,000 messages: a rare word, one that is nearly
// everywhere, and several.
func BenchmarkSearch(b *testing.B) {
	s := store.Open(filepath.Join(b.TempDir(), "state.db"), store.Options{})
	defer s.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 10_000 {
		spoke(b, s, fmt.Sprint("s", i%400), fmt.Sprint(i), sentence(random, 60), sentence(random, 120))
	}
	must(b, s.Checkpoint(b.Context()))
	for name, text := range map[string]string{"rare": "w9000", "common": "w0", "several": "w3 w17 w60", "any": "w0 w1 w3 nothing"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				list, err := s.Search(b.Context(), store.Search{Text: text, Sessions: 5, Hits: 3})
				if err != nil || len(list) == 0 {
					b.Fatal(list, err)
				}
			}
		})
	}
}
