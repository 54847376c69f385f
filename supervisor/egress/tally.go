package egress

import (
	"errors"
	"io"
	"sync"
	"time"

	"hermes/supervisor/egress/usage"
)

// errSpent ends a request that, with all others which run, goes far beyond what the
// profile may use.
var errSpent = errors.New(spentToday)

// tally counts the tokens of one request to a model while it runs. A nil one is that of
// a request that costs none.
type tally struct {
	budget *budget
	now    func() time.Time
	began  time.Time

	mu      sync.Mutex // guards the rest: a server may answer before it has heard all
	request usage.Request
	answer  usage.Answer
	held    int64 // of the budget
}

// sent counts a piece of the request, and reports whether there may be more.
func (t *tally) sent(p []byte) bool {
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.request.Take(p)
	return t.hold()
}

// came counts a piece of the answer, and reports whether there may be more.
func (t *tally) came(p []byte) bool {
	if t == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer.Take(p)
	return t.hold()
}

// hold has the budget hold back what the request has cost so far. The caller holds mu.
func (t *tally) hold() bool {
	count := t.answer.Count(&t.request, t.now().Sub(t.began))
	before := t.held
	t.held = count.In + count.Out
	return t.budget.hold(before, t.held)
}

// whole says that the answer has come to its end.
func (t *tally) whole() {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answer.End()
}

// settle spends what the request has cost, nothing if the server has refused it or
// could not be asked, and writes it down.
func (t *tally) settle(e *entry, costs bool) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	var count usage.Count
	if costs {
		count = t.answer.Count(&t.request, t.now().Sub(t.began))
		e.TokensIn, e.TokensOut, e.Estimated = count.In, count.Out, count.Estimated
	}
	t.budget.settle(t.held, count.In+count.Out)
	t.held = 0
}

// tallied is the body of a request that is counted.
type tallied struct {
	io.ReadCloser

	tally *tally
}

func (b tallied) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if !b.tally.sent(p[:n]) {
		return 0, errSpent
	}
	return n, err
}
