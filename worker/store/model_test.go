package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"hermes/worker/store"
)

// modelKeep is small, so that eviction is the rule.
const modelKeep = 5

// modelTurn is a response as a slice of pointers holds it.
type modelTurn struct {
	id, conversation string
	parent           *modelTurn
	inFlight         bool
}

// model is what a Store promises of responses, done with a slice: those that are
// stored, the least recently used first.
type model struct {
	s      *store.Store
	path   string
	db     *sql.DB
	stored []*modelTurn
	made   int
	heads  map[string][]*modelTurn // all that were the head of a conversation, the last one last
}

func TestResponsesAreKeptAsAListWouldKeepThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		m := &model{path: filepath.Join(dir, fmt.Sprint(n)), heads: map[string][]*modelTurn{}}
		m.s = store.Open(m.path, store.Options{Now: start})
		defer func() { must(t, m.s.Close()) }()
		m.db = raw(t, m.path)
		defer m.db.Close()
		rt.Repeat(map[string]func(*rapid.T){
			"":         m.check,
			"put":      m.put,
			"begin":    m.begin,
			"end":      m.end,
			"get":      m.get,
			"delete":   m.remove,
			"chain":    m.chain,
			"converse": m.converse,
			"reopen":   m.reopen,
		})
	})
}

func (m *model) put(t *rapid.T) { m.add(t, "", m.ended(t, "previous")) }

// converse takes a turn that follows the head of a conversation.
func (m *model) converse(t *rapid.T) {
	name := rapid.SampledFrom([]string{"c", "d"}).Draw(t, "conversation")
	m.add(t, name, m.head(name))
}

func (m *model) add(t *rapid.T, conversation string, parent *modelTurn) {
	turn := m.make(parent)
	turn.conversation = conversation
	r := answered(turn.id, "")
	r.Conversation = conversation
	if parent != nil {
		r.PreviousID = parent.id
	}
	if err := m.s.PutResponse(ctx(t), r, store.Put{Keep: modelKeep, Head: conversation != ""}); err != nil {
		t.Fatal(err)
	}
	if conversation != "" {
		m.heads[conversation] = append(m.heads[conversation], turn)
	}
	m.evict()
}

func (m *model) begin(t *rapid.T) {
	parent := m.ended(t, "previous")
	turn := m.make(parent)
	turn.inFlight = true
	r := begun(turn.id, "")
	if parent != nil {
		r.PreviousID = parent.id
	}
	if err := m.s.PutResponse(ctx(t), r, store.Put{Keep: modelKeep}); err != nil {
		t.Fatal(err)
	}
	m.evict()
}

func (m *model) end(t *rapid.T) {
	turn := m.any(t, func(turn *modelTurn) bool { return turn.inFlight })
	if turn == nil {
		t.Skip("nothing is in flight")
	}
	if err := m.s.PutResponse(ctx(t), answered(turn.id, ""), store.Put{Keep: modelKeep, Update: true}); err != nil {
		t.Fatal(err)
	}
	turn.inFlight = false
	m.use(turn)
	m.evict()
}

func (m *model) get(t *rapid.T) {
	turn := m.any(t, func(*modelTurn) bool { return true })
	if turn == nil {
		t.Skip("nothing is stored")
	}
	r, err := m.s.Response(ctx(t), turn.id)
	if err != nil || r.InFlight() != turn.inFlight {
		t.Fatalf("response %s is %+v (%v)", turn.id, r, err)
	}
	m.use(turn)
}

func (m *model) remove(t *rapid.T) {
	turn := m.any(t, func(*modelTurn) bool { return true })
	if turn == nil {
		t.Skip("nothing is stored")
	}
	if err := m.s.DeleteResponse(ctx(t), turn.id); err != nil {
		t.Fatal(err)
	}
	m.drop(turn)
}

func (m *model) chain(t *rapid.T) {
	turn := m.ended(t, "end")
	if turn == nil {
		t.Skip("nothing has ended")
	}
	got, err := m.s.Chain(ctx(t), turn.id)
	if err != nil {
		t.Fatal(err)
	}
	var gotIDs, wantIDs []string
	for _, turn := range got {
		gotIDs = append(gotIDs, string(turn.Transcript))
	}
	line := turn.line()
	for _, turn := range line {
		wantIDs = append(wantIDs, turn.id)
		if slices.Contains(m.stored, turn) {
			m.use(turn)
		}
	}
	if !slices.Equal(gotIDs, wantIDs) {
		t.Fatalf("history of %s is %v, want %v", turn.id, gotIDs, wantIDs)
	}
}

// reopen ends one Store and begins another, which has nothing in flight itself
// and leaves alone what is.
func (m *model) reopen(t *rapid.T) {
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	m.s = store.Open(m.path, store.Options{Now: start})
}

// check compares all that is stored with the list.
func (m *model) check(t *rapid.T) {
	if _, err := m.s.ConversationHead(ctx(t), ""); err != nil { // make the tables
		t.Fatal(err)
	}
	rows, err := m.db.QueryContext(ctx(t), "SELECT id FROM responses ORDER BY used")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got, want []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		got = append(got, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	needed := map[*modelTurn]bool{}
	for _, turn := range m.stored {
		want = append(want, turn.id)
		for _, ancestor := range turn.line() {
			needed[ancestor] = true
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("stored by use are %v, want %v", got, want)
	}
	var turns int
	if err := m.db.QueryRowContext(ctx(t), "SELECT count(*) FROM turns").Scan(&turns); err != nil || turns != len(needed) {
		t.Fatalf("%d turns are kept, want %d (%v)", turns, len(needed), err)
	}
	for _, name := range []string{"c", "d"} {
		want := ""
		if head := m.head(name); head != nil {
			want = head.id
		}
		if got, err := m.s.ConversationHead(ctx(t), name); err != nil || got != want {
			t.Fatalf("head of %s is %q, want %q (%v)", name, got, want, err)
		}
	}
}

func (m *model) make(parent *modelTurn) *modelTurn {
	m.made++
	turn := &modelTurn{id: fmt.Sprint(m.made), parent: parent}
	m.stored = append(m.stored, turn)
	return turn
}

func (m *model) use(turn *modelTurn) {
	m.drop(turn)
	m.stored = append(m.stored, turn)
}

func (m *model) drop(turn *modelTurn) {
	m.stored = slices.DeleteFunc(m.stored, func(other *modelTurn) bool { return other == turn })
}

func (m *model) evict() {
	for excess := len(m.stored) - modelKeep; excess > 0; excess-- {
		i := slices.IndexFunc(m.stored, func(turn *modelTurn) bool { return !turn.inFlight })
		if i < 0 {
			return
		}
		m.stored = slices.Delete(m.stored, i, i+1)
	}
}

// head is the newest of a conversation's heads that is stored.
func (m *model) head(name string) *modelTurn {
	for _, turn := range slices.Backward(m.heads[name]) {
		if slices.Contains(m.stored, turn) {
			return turn
		}
	}
	return nil
}

// ended draws a stored response that has ended, or nil.
func (m *model) ended(t *rapid.T, label string) *modelTurn {
	if rapid.IntRange(0, 4).Draw(t, label) == 0 {
		return nil
	}
	return m.any(t, func(turn *modelTurn) bool { return !turn.inFlight })
}

// any draws a stored response, or nil if there is none of the kind.
func (m *model) any(t *rapid.T, kind func(*modelTurn) bool) *modelTurn {
	var some []*modelTurn
	for _, turn := range m.stored {
		if kind(turn) {
			some = append(some, turn)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[rapid.IntRange(0, len(some)-1).Draw(t, "which")]
}

// line is a turn and those before it, oldest first.
func (turn *modelTurn) line() []*modelTurn {
	var line []*modelTurn
	for ; turn != nil; turn = turn.parent {
		line = append(line, turn)
	}
	slices.Reverse(line)
	return line
}

// ctx is a context as rapid has it.
func ctx(t *rapid.T) context.Context { return t.Context() }
