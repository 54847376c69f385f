package supervisor

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
)

const (
	// stockAfter is how long no profile has been starting before a spare is made: of
	// many that start, none is to wait for one that nobody has asked for.
	stockAfter = 20 * time.Millisecond
	// stockRetry is when it is tried again, after a spare could not be made or has died
	// unused.
	stockRetry = 10 * time.Second
)

// spares are processes that wait to become workers: a start that finds one takes
// milliseconds less than the program itself needs to begin.
type spares struct {
	children *sandbox.Children
	log      *slog.Logger
	most     int // how many there are where one may be wanted

	ending sync.WaitGroup // of those that are of no use any more

	mu     sync.Mutex // guards the rest
	ready  []*blank
	closed bool // none is kept any more
}

// take returns one that waits for its profile, nil if there is none. It is the
// caller's.
func (s *spares) take() *blank {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ready) > 0 {
		b := s.ready[len(s.ready)-1]
		s.ready = s.ready[:len(s.ready)-1]
		if b.link.Silent() {
			b.began = time.Now() // of the worker that it becomes
			return b
		}
		s.ending.Go(func() { s.bury(b) })
	}
	return nil
}

// count is how many there are.
func (s *spares) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready)
}

// add makes one more.
func (s *spares) add(m maker) error {
	b, err := m.blank(true, wall.Identity{})
	if err != nil {
		return err
	}
	b.settle()
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.ready = append(s.ready, b)
	}
	s.mu.Unlock()
	if closed {
		s.end(b)
	}
	return nil
}

// look ends those that have died or should not be there, and reports whether any had
// died.
func (s *spares) look(want int) (died bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.ready[:0]
	for _, b := range s.ready {
		switch {
		case !b.link.Silent():
			died = true
			s.ending.Go(func() { s.bury(b) })
		case len(kept) >= want:
			s.ending.Go(func() { s.end(b) })
		default:
			kept = append(kept, b)
		}
	}
	clear(s.ready[len(kept):])
	s.ready = kept
	return died
}

// empty ends all of them, and returns when they are gone. With last, none is kept
// from then on.
func (s *spares) empty(last bool) {
	s.mu.Lock()
	all := s.ready
	s.ready, s.closed = nil, s.closed || last
	s.mu.Unlock()
	for _, b := range all {
		s.ending.Go(func() { s.end(b) })
	}
	s.ending.Wait()
}

// bury takes in one that has died by itself.
func (s *spares) bury(b *blank) {
	_ = s.children.Signal(b.cmd, syscall.SIGKILL) // what says something unasked is no better than dead
	_ = b.stdout.SetReadDeadline(time.Now().Add(outputLimit))
	words, _ := io.ReadAll(io.LimitReader(b.stdout, keptLength))
	s.log.Warn("spare worker died; another one is made", "pid", b.cmd.Process.Pid, "said", string(bytes.TrimSpace(words)))
	s.end(b)
}

// end ends one that is of no use any more, and returns when it is gone.
func (s *spares) end(b *blank) {
	_ = s.children.Signal(b.cmd, syscall.SIGKILL) // it may be dead already
	_ = s.children.Wait(b.cmd)                    // it was killed
	b.close()
	if err := b.group.Kill(); err != nil {
		s.log.Warn("cgroup of a spare worker is left", "error", err)
		return
	}
	if err := b.group.Close(); err != nil {
		s.log.Warn("cgroup of a spare worker is left", "error", err)
	}
}

// stock has as many spares as there should be, some time after the last start. It
// runs in the loop.
func (f *fleet) stock(now time.Time, starting bool) {
	if starting {
		f.stockAt = now.Add(stockAfter)
	}
	if f.stocking || f.upgrading {
		return
	}
	want := f.wantedSpares()
	if f.spares.look(want) {
		f.stockAt = now.Add(stockRetry)
	}
	if starting || f.spares.count() >= want || now.Before(f.stockAt) {
		return
	}
	f.stocking = true
	f.work.Go(func() {
		reason := f.scarce()
		var err error
		if reason == "" {
			err = f.spares.add(f.maker)
		}
		f.post(func() {
			f.stocking = false
			if err != nil || reason != "" {
				f.stockAt = time.Now().Add(stockRetry)
				f.log.Debug("no spare worker", "error", err, "reason", reason)
			}
		})
	})
}

// wantedSpares is how many spares there should be: none where no profile is woken by
// a request.
func (f *fleet) wantedSpares() int {
	if f.stopping || f.users() != nil { // who would have to know whose they become
		return 0
	}
	for _, m := range f.members {
		if m.mode == startOnDemand && m.willing() && !m.gone {
			return f.spares.most
		}
	}
	return 0
}

// nextStock returns the time until a spare is to be made, at most wait.
func (f *fleet) nextStock(now time.Time, wait time.Duration) time.Duration {
	if f.stocking || f.upgrading || f.stockAt.Before(now) || f.spares.count() >= f.wantedSpares() {
		return wait
	}
	return min(wait, f.stockAt.Sub(now))
}
