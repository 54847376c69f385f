package api

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxConversationName bounds the name of a conversation, in bytes.
const maxConversationName = 512

// errConversationBusy is why a turn of a conversation may not even wait.
var errConversationBusy = errors.New("too many turns of this conversation are waiting")

// conversations lets the turns of a conversation run one after the other, in the
// order in which they came: each follows the one before it, so that none is
// lost. Conversations do not wait for each other.
type conversations struct {
	room int // how many turns of one may wait

	mu   sync.Mutex                 // guards open
	open map[string][]chan struct{} // those that wait, by name; closed when it is their turn
}

// enter waits until no other turn of the conversation runs. The function that it
// returns lets the next one go, and must be called once. A turn without a
// conversation, whose name is empty, waits for nobody.
func (cs *conversations) enter(ctx context.Context, name string) (leave func(), err error) {
	if name == "" {
		return func() {}, nil
	}
	leave = func() { cs.leave(name) }
	cs.mu.Lock()
	waiting, busy := cs.open[name]
	switch {
	case !busy:
		cs.open[name] = nil
		cs.mu.Unlock()
		return leave, nil
	case len(waiting) >= cs.room:
		cs.mu.Unlock()
		return nil, errConversationBusy
	}
	mine := make(chan struct{})
	cs.open[name] = append(waiting, mine)
	cs.mu.Unlock()

	select {
	case <-mine:
		return leave, nil
	case <-ctx.Done():
	}
	if !cs.giveUp(name, mine) { // its turn came at the same moment
		leave()
	}
	return nil, context.Cause(ctx)
}

// leave lets the turn go that has waited longest.
func (cs *conversations) leave(name string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	waiting := cs.open[name]
	if len(waiting) == 0 {
		delete(cs.open, name)
		return
	}
	close(waiting[0])
	cs.open[name] = slices.Delete(waiting, 0, 1)
}

// giveUp takes a waiting turn out. It is false when its turn has come.
func (cs *conversations) giveUp(name string, mine chan struct{}) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	i := slices.Index(cs.open[name], mine)
	if i >= 0 {
		cs.open[name] = slices.Delete(cs.open[name], i, i+1)
	}
	return i >= 0
}
