package store_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"hermes/worker/store"
)

// A session has the name of the conversation that it belongs to, for as long as
// that can be gone on with.
func TestNamesOfSessions(t *testing.T) {
	t.Parallel()
	s := open(t)
	names := func() map[string]string {
		t.Helper()
		names, err := s.ConversationNames(t.Context())
		must(t, err)
		return names
	}
	for i, session := range []string{"garden", "", "work", "garden"} {
		id := fmt.Sprint(i)
		begin(t, s, "session-"+session, "run-"+id)
		r := say(id, map[string]string{"3": "0"}[id], session)
		r.RunID = "run-" + id
		put(t, s, r, store.Put{Head: session != ""})
	}
	want := map[string]string{"session-garden": "garden", "session-work": "work"}
	if got := names(); !maps.Equal(got, want) {
		t.Errorf("names are %v, want %v", got, want)
	}
	must(t, s.DeleteResponse(t.Context(), "2"))
	delete(want, "session-work")
	if got := names(); !maps.Equal(got, want) {
		t.Errorf("names are %v, want %v", got, want)
	}
}

func TestSessionsByTheBeginningOfTheirIDs(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i, id := range []string{"abc", "abd", "b%", "bxx"} {
		begin(t, s, id, fmt.Sprint(i))
	}
	for prefix, want := range map[string][]string{"ab": {"abd", "abc"}, "abc": {"abc"}, "b%": {"b%"}, "x": nil, "AB": nil} {
		got, err := s.SessionIDs(t.Context(), prefix, 10)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q (%v), want %q", prefix, got, err, want)
		}
	}
	if got, err := s.SessionIDs(t.Context(), "", 3); err != nil || len(got) != 3 {
		t.Errorf("%q (%v)", got, err)
	}
}
