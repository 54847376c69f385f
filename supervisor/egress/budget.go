package egress

import (
	"sync"
	"time"
)

// budget counts what a profile uses. It is shared by all workers of the profile.
type budget struct {
	now func() time.Time

	mu     sync.Mutex // guards the rest
	limits Budget
	tokens float64 // requests that may begin now
	filled time.Time
	day    int64 // of UTC
	bytes  int64 // on that day
}

func newBudget(now func() time.Time) *budget { return &budget{now: now} }

// set replaces the limits. What was used stays used.
func (b *budget) set(limits Budget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if limits.RequestsPerMinute != b.limits.RequestsPerMinute {
		b.tokens, b.filled = float64(limits.RequestsPerMinute), b.now()
	}
	b.limits = limits
}

// admit reports whether a request may begin, and if not, why and when it may.
func (b *budget) admit() (why string, after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if used := b.today(now); b.limits.BytesPerDay > 0 && used >= b.limits.BytesPerDay {
		tomorrow := time.Unix((b.day+1)*86400, 0)
		return "the profile has sent and received as much today as it may (limits.bytes_per_day)", tomorrow.Sub(now)
	}
	rate := float64(b.limits.RequestsPerMinute)
	if rate == 0 {
		return "", 0
	}
	b.tokens = min(rate, b.tokens+now.Sub(b.filled).Minutes()*rate)
	b.filled = now
	if b.tokens < 1 {
		return "the profile makes more requests than it may (limits.requests_per_minute)", time.Duration((1 - b.tokens) / rate * float64(time.Minute))
	}
	b.tokens--
	return "", 0
}

// spend counts bytes, and reports whether there may be more. What is under way when
// the last of them is spent goes on for APIs, and ends for tunnels.
func (b *budget) spend(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today(b.now())
	b.bytes += n
	return b.limits.BytesPerDay == 0 || b.bytes < b.limits.BytesPerDay
}

// used is what was spent on a day.
func (b *budget) used() (day, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.day, b.bytes
}

// resume goes on with what another generation has counted.
func (b *budget) resume(day, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.today(b.now()); day == b.day {
		b.bytes = max(b.bytes, bytes)
	}
}

// today begins a new day if it is one. The caller holds mu.
func (b *budget) today(now time.Time) int64 {
	if day := now.Unix() / 86400; day != b.day {
		b.day, b.bytes = day, 0
	}
	return b.bytes
}
