package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"hermes/worker/store"
)

// answered is a response that has ended, with the turn that it adds.
func answered(id, previous string) store.Response {
	return store.Response{ID: id, PreviousID: previous, Status: store.ResponseCompleted, Body: []byte(`{"id":"` + id + `"}`), Transcript: []byte(id)}
}

// begun is a response whose turn begins.
func begun(id, previous string) store.Response {
	return store.Response{ID: id, PreviousID: previous, Status: store.ResponseInProgress}
}

func put(t *testing.T, s *store.Store, r store.Response, p store.Put) {
	t.Helper()
	must(t, s.PutResponse(t.Context(), r, p))
}

// missing lists those of the ids that are not stored, without using the others
// in another order than the given one.
func missing(t *testing.T, s *store.Store, ids ...string) []string {
	t.Helper()
	var gone []string
	for _, id := range ids {
		if _, err := s.Response(t.Context(), id); errors.Is(err, store.ErrNotFound) {
			gone = append(gone, id)
		} else {
			must(t, err)
		}
	}
	return gone
}

func TestAResponseComesBackAsItWasPut(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	put(t, s, answered("first", ""), store.Put{})
	want := store.Response{
		ID: "r", PreviousID: "first", Conversation: "chat", RunID: "run", Status: store.ResponseQueued, Background: true,
		Instructions: "be brief", Body: []byte(`{"status":"queued"}`), Created: start().Add(time.Hour),
	}
	full := want
	full.Input, full.Transcript = []byte(`[{"type":"message"}]`), []byte("hidden")
	put(t, s, full, store.Put{})
	if got, err := s.Response(ctx, "r"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("response is\n%+v (%v), want\n%+v", got, err, want)
	}
	// What an update leaves out stays.
	put(t, s, store.Response{ID: "r", Status: store.ResponseCompleted, Body: []byte(`{"status":"completed"}`)}, store.Put{Update: true})
	want.Status, want.Body = store.ResponseCompleted, []byte(`{"status":"completed"}`)
	if got, err := s.Response(ctx, "r"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("response is\n%+v (%v), want\n%+v", got, err, want)
	}
	if got, err := s.InputItems(ctx, "r"); err != nil || string(got) != string(full.Input) {
		t.Errorf("input is %s (%v)", got, err)
	}
	if first, err := s.Response(ctx, "first"); err != nil || !first.Created.Equal(start()) {
		t.Errorf("first response is %+v (%v)", first, err)
	}
}

func TestPutsThatAreRefusedChangeNothing(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	put(t, s, answered("done", ""), store.Put{})
	put(t, s, begun("open", ""), store.Put{})
	follow := begun("open", "elsewhere")

	tests := []struct {
		name string
		r    store.Response
		put  store.Put
		want error
		says string
	}{
		{"unknown previous", begun("new", "x"), store.Put{}, store.ErrNotFound, `put response: previous response "x": not found`},
		{"previous in flight", begun("new", "open"), store.Put{}, store.ErrInFlight, `previous response "open" is in_progress: still in flight`},
		{"follow itself", begun("open", "open"), store.Put{}, store.ErrInFlight, `previous response "open"`},
		{"new unknown previous", follow, store.Put{}, store.ErrNotFound, `previous response "elsewhere"`},
		{"ended", answered("done", ""), store.Put{}, store.ErrEnded, `response "done" is completed: ended already`},
		{"update of nothing", answered("new", ""), store.Put{Update: true}, store.ErrNotFound, `response "new": not found`},
		{"head of nothing", answered("new", ""), store.Put{Head: true}, nil, `response "new" is part of no conversation`},
		{"head in flight", store.Response{ID: "open", Status: store.ResponseQueued, Conversation: "c"}, store.Put{Head: true}, store.ErrInFlight, `cannot be the head of conversation "c"`},
		{"unknown claim", answered("new", ""), store.Put{Finish: &store.Finish{Key: "k"}}, store.ErrNotFound, `idempotency key "k": not found`},
		{"unknown status", store.Response{ID: "new", Status: "thinking"}, store.Put{}, nil, "status"},
	}
	for _, test := range tests {
		err := s.PutResponse(ctx, test.r, test.put)
		if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
	if gone := missing(t, s, "done", "open", "new"); !slices.Equal(gone, []string{"new"}) {
		t.Errorf("not stored: %v", gone)
	}
	if got, err := s.Response(ctx, "open"); err != nil || !reflect.DeepEqual(got, store.Response{ID: "open", Status: store.ResponseInProgress, Created: start()}) {
		t.Errorf("open response is %+v (%v)", got, err)
	}
}

func TestTheLeastRecentlyUsedGoesNotTheOldest(t *testing.T) {
	t.Parallel()
	s := open(t)
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprint(i))
		put(t, s, answered(ids[i], ""), store.Put{})
	}
	_, err := s.Response(t.Context(), "0")
	must(t, err)
	_, err = s.InputItems(t.Context(), "1")
	must(t, err)
	_, err = s.Chain(t.Context(), "2")
	must(t, err)
	for i := range 3 {
		put(t, s, answered(fmt.Sprint("new", i), ""), store.Put{})
	}
	if gone := missing(t, s, ids...); !slices.Equal(gone, []string{"3", "4", "5"}) {
		t.Errorf("evicted are %v", gone)
	}
}

// What responses take together is bounded, too; the newest one is kept in any case.
func TestLargeResponsesGoEarlier(t *testing.T) {
	t.Parallel()
	s := open(t)
	large := func(id string) store.Response {
		r := answered(id, "")
		r.Transcript = make([]byte, 60<<10)
		r.Input = make([]byte, 10<<10)
		return r
	}
	limit := store.Put{KeepBytes: 300 << 10}
	put(t, s, store.Response{ID: "open", Status: store.ResponseInProgress, Input: make([]byte, 100<<10)}, limit)
	for _, id := range []string{"a", "b", "c", "d"} {
		put(t, s, large(id), limit)
		if id == "b" { // a use
			_, err := s.Response(t.Context(), "a")
			must(t, err)
		}
	}
	if gone := missing(t, s, "open", "a", "b", "c", "d"); !slices.Equal(gone, nil) {
		t.Errorf("not stored: %v", gone)
	}
	put(t, s, large("e"), store.Put{KeepBytes: 220 << 10})
	if gone := missing(t, s, "open", "a", "b", "c", "d", "e"); !slices.Equal(gone, []string{"a", "b"}) {
		t.Errorf("not stored: %v", gone)
	}
	put(t, s, large("f"), store.Put{KeepBytes: 1})
	if gone := missing(t, s, "open", "f"); len(gone) > 0 {
		t.Errorf("not stored: %v", gone)
	}
}

func TestKeepMayChange(t *testing.T) {
	t.Parallel()
	s := open(t)
	for i := range 10 {
		put(t, s, answered(fmt.Sprint(i), ""), store.Put{Keep: 20})
	}
	put(t, s, answered("10", ""), store.Put{Keep: 3})
	if gone := missing(t, s, "7", "8", "9", "10"); !slices.Equal(gone, []string{"7"}) {
		t.Errorf("evicted are %v", gone)
	}
}

func TestWhatIsInFlightIsNotEvicted(t *testing.T) {
	t.Parallel()
	s := open(t)
	two := store.Put{Keep: 2}
	for _, id := range []string{"a", "b", "c"} {
		put(t, s, begun(id, ""), two)
	}
	put(t, s, answered("done", ""), two)
	if gone := missing(t, s, "a", "b", "c", "done"); !slices.Equal(gone, []string{"done"}) {
		t.Errorf("evicted are %v", gone)
	}
	// The end of one is a use of it: the next to go is another.
	put(t, s, answered("a", ""), two)
	put(t, s, answered("b", ""), two)
	if gone := missing(t, s, "a", "b", "c"); !slices.Equal(gone, []string{"a"}) {
		t.Errorf("evicted are %v", gone)
	}
}

func TestUsesSurviveARestart(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/state.db"
	s := store.Open(path, store.Options{})
	for _, id := range []string{"a", "b", "c"} {
		put(t, s, answered(id, ""), store.Put{})
	}
	_ = missing(t, s, "a")
	must(t, s.Close())
	s = reopen(t, path, store.Options{Recover: true})
	put(t, s, answered("d", ""), store.Put{Keep: 3})
	if gone := missing(t, s, "a", "b", "c", "d"); !slices.Equal(gone, []string{"b"}) {
		t.Errorf("evicted are %v", gone)
	}
}

func TestADeletedResponseStaysDeleted(t *testing.T) {
	t.Parallel()
	s := open(t)
	ctx := t.Context()
	put(t, s, begun("r", ""), store.Put{})
	must(t, s.DeleteResponse(ctx, "r"))
	if err := s.PutResponse(ctx, answered("r", ""), store.Put{Update: true}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("end of its turn: %v", err)
	}
	for name, err := range map[string]error{
		"read":   second(s.Response(ctx, "r")),
		"input":  second(s.InputItems(ctx, "r")),
		"chain":  second(s.Chain(ctx, "r")),
		"delete": s.DeleteResponse(ctx, "r"),
	} {
		if !errors.Is(err, store.ErrNotFound) || !strings.Contains(err.Error(), `"r"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[V any](_ V, err error) error { return err }
