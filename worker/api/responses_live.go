package api

import "sync"

// live knows the responses whose turns run in this process.
type live struct {
	mu   sync.Mutex // guards runs
	runs map[string]*responseRun
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
	delete(l.runs, p.record.ID)
	l.mu.Unlock()
	close(p.done)
}

func (l *live) get(id string) *responseRun {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.runs[id]
}

// background counts the runs that no request waits for.
func (l *live) background() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, p := range l.runs {
		if p.request.Background {
			n++
		}
	}
	return n
}
