package api

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// connections knows what each connection does.
type connections struct {
	mu      sync.Mutex // guards states
	states  map[net.Conn]http.ConnState
	changed chan struct{} // has one element after a change
}

// track is told by net/http of every change.
func (cs *connections) track(c net.Conn, state http.ConnState) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		if cs.states == nil {
			cs.states = map[net.Conn]http.ConnState{}
		}
		cs.states[c] = state
	case http.StateIdle:
		cs.states[c] = state // it has been another before
		if own, ok := c.(*conn); ok {
			own.head = head{} // the next request begins
		}
	case http.StateClosed, http.StateHijacked:
		delete(cs.states, c)
	}
	select {
	case cs.changed <- struct{}{}:
	default:
	}
}

func (cs *connections) count(state http.ConnState) int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	n := 0
	for _, s := range cs.states {
		if s == state {
			n++
		}
	}
	return n
}

// wait returns true as soon as no connection is in any of the states, and false
// when the time is over or stop is closed before.
func (cs *connections) wait(stop <-chan struct{}, limit <-chan time.Time, states ...http.ConnState) bool {
	for {
		left := 0
		for _, state := range states {
			left += cs.count(state)
		}
		if left == 0 {
			return true
		}
		select {
		case <-cs.changed:
		case <-limit:
			return false
		case <-stop:
			return false
		}
	}
}
