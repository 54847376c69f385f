package supervisor

import "time"

// backoff says how long to wait before a worker is started again.
type backoff struct {
	base time.Duration // before the first restart
	most time.Duration // the delay stops growing here; there is no last try
	// random returns a number in [0,1). It spreads the restarts of profiles that
	// died together.
	random func() float64
}

// delay returns the time to wait before restart number n, counted from 0: half
// to all of base doubled n times, but never more than most.
func (b backoff) delay(n int) time.Duration {
	full := b.base
	for i := 0; i < n && full < b.most; i++ {
		full *= 2
	}
	full = min(full, b.most)
	return full/2 + time.Duration(b.random()*float64(full-full/2))
}
