package main

import (
	"context"
	"sync"
	"time"
)

// patience is how long a command may be silent.
const patience = time.Second

// progress says on stderr what the command is waiting for, from the moment that
// takes longer than a person waits for without asking. It returns how to end it.
// On a terminal the line is rewritten and goes away; in a pipe each message is a
// line, written once.
func (a *app) progress(ctx context.Context, message func() string) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(patience)
		defer ticker.Stop()
		said := ""
		for {
			select {
			case <-ctx.Done():
				if said != "" && a.errTTY {
					a.eprintf("\r\x1b[K")
				}
				return
			case <-ticker.C:
			}
			text := printable(message())
			switch {
			case a.errTTY:
				a.eprintf("\r\x1b[K%s", dim.paint(a.colours(true), text))
			case text != said:
				a.eprintf("%s\n", text)
			}
			said = text
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// progressed is what a command with several steps is doing right now.
type progressed struct {
	mu    sync.Mutex // guards doing
	doing string
}

func (p *progressed) now(doing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doing = doing
}

func (p *progressed) current() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.doing
}
