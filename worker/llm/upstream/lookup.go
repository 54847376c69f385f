package upstream

import (
	"context"
	"sync"
	"time"

	"hermes/worker/llm"
)

// lookupTimeout bounds the question what a model can do: whoever asks has better
// things to wait for.
const lookupTimeout = 3 * time.Second

// LookAgain is how long a provider that gave no answer is best not asked again:
// most that give none do not know the question.
const LookAgain = 10 * time.Minute

// Lookup asks a server once what its model can do, and keeps the answer. It may
// be used by many goroutines at once.
type Lookup struct {
	// ask asks. It is called by one goroutine at a time, and not again once it
	// has had an answer.
	ask func(ctx context.Context) (llm.Capabilities, error)
	now func() time.Time
	// again is how long nobody is asked after a failure.
	again time.Duration
	// asking holds one token, which the one that asks has taken.
	asking chan struct{}

	mu     sync.Mutex // guards what follows
	known  llm.Capabilities
	done   bool
	failed time.Time
}

// NewLookup makes a Lookup that does not ask yet. After a failure nobody is asked
// for the time that is given.
func NewLookup(now func() time.Time, again time.Duration, ask func(ctx context.Context) (llm.Capabilities, error)) *Lookup {
	return &Lookup{ask: ask, now: now, again: again, asking: make(chan struct{}, 1)}
}

// Get returns what the server says, and nothing when it does not, or when ctx
// ends before.
func (l *Lookup) Get(ctx context.Context) llm.Capabilities {
	if known, settled := l.settled(); settled || ctx.Err() != nil {
		return known
	}
	select {
	case l.asking <- struct{}{}:
	case <-ctx.Done():
		return llm.Capabilities{}
	}
	defer func() { <-l.asking }()
	if known, settled := l.settled(); settled {
		return known
	}
	asked, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	known, err := l.ask(asked)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.known, l.done = known, true
	case ctx.Err() == nil: // otherwise nobody waited for the answer
		l.failed = l.now()
	}
	return l.known
}

// settled returns what is known, and whether it makes no sense to ask now.
func (l *Lookup) settled() (llm.Capabilities, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known, l.done || !l.failed.IsZero() && l.now().Sub(l.failed) < l.again
}
