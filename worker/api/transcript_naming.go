package api

import (
	"context"
	"crypto/sha256"
	"sync"
)

// namings are the names of histories that are being written down with their sessions
// while their clients have their answers already. A client that is quick asks again
// before that is done, and must find its session.
type namings struct {
	mu   sync.Mutex // guards open
	open map[[sha256.Size]byte]chan struct{}
}

// begin says that a history is being written down. It is until done is called.
func (n *namings) begin(history [sha256.Size]byte) (done func()) {
	written := make(chan struct{})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.open == nil {
		n.open = map[[sha256.Size]byte]chan struct{}{}
	}
	n.open[history] = written
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.open[history] == written { // else the same history has come again
			delete(n.open, history)
		}
		close(written)
	}
}

// wait returns when none of these histories is being written down any more, or ctx
// has ended.
func (n *namings) wait(ctx context.Context, histories [][]byte) {
	for _, history := range histories {
		n.mu.Lock()
		written := n.open[[sha256.Size]byte(history)]
		n.mu.Unlock()
		if written == nil {
			continue
		}
		select {
		case <-written:
		case <-ctx.Done():
			return
		}
	}
}
