package store_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hermes/worker/store"
)

// compactions shows what is kept of a session.
func compactions(t *testing.T, s *store.Store, session string) string {
	t.Helper()
	found, err := s.Compactions(t.Context(), session)
	must(t, err)
	var list []string
	for _, c := range found {
		list = append(list, string(c.Hash)+"="+string(c.Body))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestCompactionsOutliveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := reopen(t, path, store.Options{})
	for _, c := range []store.Compaction{{Hash: []byte("a"), Body: []byte("1")}, {Hash: []byte("b"), Body: []byte("2")}, {Hash: []byte("a"), Body: []byte("3")}} {
		must(t, s.PutCompaction(t.Context(), "s", c, store.CompactionLimits{}))
	}
	must(t, s.PutCompaction(t.Context(), "other", store.Compaction{Hash: []byte("a"), Body: []byte("4")}, store.CompactionLimits{}))
	must(t, s.Close())
	s = reopen(t, path, store.Options{})
	if got := compactions(t, s, "s"); got != "a=3 b=2" {
		t.Errorf("kept %q", got)
	}
	if got := compactions(t, s, "nobody"); got != "" {
		t.Errorf("a session without any has %q", got)
	}
}

func TestCompactionsAreBounded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		limits store.CompactionLimits
		one    string
		two    string
	}{
		{"each", store.CompactionLimits{Each: 2}, "b=bb c=cc", "d=dd"},
		{"total", store.CompactionLimits{Total: 3}, "b=bb c=cc", "d=dd"},
		{"size", store.CompactionLimits{Bytes: 5}, "c=cc", "d=dd"},
		{"age", store.CompactionLimits{Age: 90 * time.Second}, "c=cc", "d=dd"},
		{"nothing of it", store.CompactionLimits{}, "a=aa b=bb c=cc", "d=dd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := start()
			s := reopen(t, filepath.Join(t.TempDir(), "state.db"), store.Options{Now: func() time.Time { return now }})
			for _, name := range []string{"a", "b", "c", "d"} {
				session := "one"
				if name == "d" {
					session = "two"
				}
				must(t, s.PutCompaction(t.Context(), session, store.Compaction{Hash: []byte(name), Body: []byte(name + name)}, test.limits))
				now = now.Add(time.Minute)
			}
			if one, two := compactions(t, s, "one"), compactions(t, s, "two"); one != test.one || two != test.two {
				t.Errorf("kept %q and %q, want %q and %q", one, two, test.one, test.two)
			}
		})
	}
}

// What is looked at stays, and what nobody looks at gives way to it.
func TestUsedCompactionsStay(t *testing.T) {
	t.Parallel()
	now := start()
	s := reopen(t, filepath.Join(t.TempDir(), "state.db"), store.Options{Now: func() time.Time { return now }})
	put := func(session string) {
		must(t, s.PutCompaction(t.Context(), session, store.Compaction{Hash: []byte("h"), Body: []byte("x")}, store.CompactionLimits{Total: 2}))
		now = now.Add(2 * time.Hour)
	}
	put("old")
	put("new")
	compactions(t, s, "old")
	now = now.Add(time.Hour)
	put("newest")
	if old, younger := compactions(t, s, "old"), compactions(t, s, "new"); old == "" || younger != "" {
		t.Errorf("kept %q of the one that was used, %q of the other", old, younger)
	}
}
