package sandbox

import "context"

// sweep ends the processes that have left the group of a call that ends.
func (c *call) sweep(ctx context.Context) {
	c.sandbox.end(c.mark)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
	defer cancel()
	// What does not die by then is beyond signals (stuck in the kernel); the
	// next sweep tries again.
	_ = c.sandbox.children.Sweep(ctx, c.spares)
}

// spares says whether a stray that is there when the call ends may stay. Group
// and mark tell whose it is. One that has left both, with a clean environment in
// a session of its own, goes with the last call that runs; jobs run for long, so
// they keep only those that were born before the call began.
func (c *call) spares(stray Stray) bool {
	s := c.sandbox
	mark := stray.Env(EnvCall)
	s.mu.Lock()
	defer s.mu.Unlock()
	if stray.PGID == c.pgid || mark == c.mark {
		return false
	}
	calls, jobs := 0, 0
	for _, other := range s.running {
		switch {
		case stray.PGID == other.pgid:
			return true
		case other.kept:
			jobs++
		default:
			calls++
		}
	}
	switch {
	case mark != "":
		return s.running[mark] != nil
	case calls > 0:
		return true
	default:
		return jobs > 0 && (c.kept || stray.Born < c.born)
	}
}
