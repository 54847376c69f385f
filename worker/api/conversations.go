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
	room func() int // how many turns of one may wait

	mu   sync.Mutex                 // guards open
	open map[string][]chan struct{} // those that wait, by name; closed when it is their turn
}

// place is a turn's place in the line of a conversation.
type place struct {
	cs   *conversations
	name string
	turn chan struct{} // closed when it is its turn; nil if it was at once
}

// lineUp takes a place, at once: who comes first goes first, however long the wait
// is put off. A turn without a conversation, whose name is empty, waits for nobody.
func (cs *conversations) lineUp(name string) (*place, error) {
	if name == "" {
		return &place{}, nil
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.open[name]) >= cs.room() {
		return nil, errConversationBusy
	}
	return cs.enter(name), nil
}

// enterAgain is lineUp for a turn that was in line before, however long the line is.
func (cs *conversations) enterAgain(name string) *place {
	if name == "" {
		return &place{}
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.enter(name)
}

// enter takes the last place. The caller holds mu.
func (cs *conversations) enter(name string) *place {
	waiting, busy := cs.open[name]
	p := &place{cs: cs, name: name}
	if !busy {
		cs.open[name] = nil
		return p
	}
	p.turn = make(chan struct{})
	cs.open[name] = append(waiting, p.turn)
	return p
}

// wait waits until no turn before this one runs. If it fails the place has
// been given back, else leave does that.
func (p *place) wait(ctx context.Context) error {
	if p.turn == nil {
		return nil
	}
	select {
	case <-p.turn:
		return nil
	case <-ctx.Done():
	}
	p.abandon()
	return context.Cause(ctx)
}

// abandon gives the place back, wherever in the line it is.
func (p *place) abandon() {
	if p.turn == nil || !p.cs.giveUp(p.name, p.turn) {
		p.leave()
	}
}

// leave lets the next turn go. It must be called once.
func (p *place) leave() {
	if p.cs != nil {
		p.cs.leave(p.name)
	}
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
