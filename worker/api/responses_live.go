package api

import "sync"

// live knows the responses whose turns run in this process.
type live struct {
	mu         sync.Mutex // guards what follows
	runs       map[string]*responseRun
	background int // how many places in the background are taken
}

// add makes a run known, if its response is stored so that others can ask for it.
func (l *live) add(p *responseRun) {
	if !p.put {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs[p.record.ID] = p
}

// remove takes a run out whose end is stored.
func (l *live) remove(p *responseRun) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.runs, p.record.ID)
}

func (l *live) get(id string) *responseRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runs[id]
}

// enterBackground takes one of the places for runs that no request waits for, if
// one is left. LeaveBackground gives it back.
func (l *live) enterBackground(places int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.background >= places {
		return false
	}
	l.background++
	return true
}

// forceBackground takes a place in the background, also if none is left: for a run
// that had one before.
func (l *live) forceBackground() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.background++
}

func (l *live) leaveBackground() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.background--
}
