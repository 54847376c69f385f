package egress

import (
	"sync"
	"time"
)

// spentToday is what a profile is told that has used up its tokens.
const spentToday = "the profile has used as many tokens today as it may (limits.tokens_per_day)"

// farBeyond is how many times its tokens of a day a profile may use at the very most:
// what runs when they are used up is finished, unless so much runs at once that it
// would come to more.
const farBeyond = 2

// Used is what a profile has used on a day of UTC.
type Used struct {
	Day    int64 `json:"day,omitempty"`
	Bytes  int64 `json:"bytes,omitempty"`
	Tokens int64 `json:"tokens,omitempty"`
}

// Most is what is known of a profile when two tell of it: of the later day, the most.
func (u Used) Most(v Used) Used {
	switch {
	case u.Day > v.Day:
		return u
	case u.Day < v.Day:
		return v
	default:
		return Used{Day: u.Day, Bytes: max(u.Bytes, v.Bytes), Tokens: max(u.Tokens, v.Tokens)}
	}
}

// budget counts what a profile uses. It is shared by all workers of the profile.
type budget struct {
	now func() time.Time

	mu       sync.Mutex // guards the rest
	limits   Budget
	requests float64 // that may begin now
	filled   time.Time
	spent    Used
	held     int64 // tokens that requests which run have cost so far
}

func newBudget(now func() time.Time) *budget { return &budget{now: now} }

// set replaces the limits. What was used stays used.
func (b *budget) set(limits Budget) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if limits.RequestsPerMinute != b.limits.RequestsPerMinute {
		b.requests, b.filled = float64(limits.RequestsPerMinute), b.now()
	}
	b.limits = limits
}

// admit reports whether a request may begin, and if not, why and when it may.
func (b *budget) admit() (why string, after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.today(now)
	if b.limits.BytesPerDay > 0 && b.spent.Bytes >= b.limits.BytesPerDay {
		return "the profile has sent and received as much today as it may (limits.bytes_per_day)", b.tomorrow(now)
	}
	rate := float64(b.limits.RequestsPerMinute)
	if rate == 0 {
		return "", 0
	}
	b.requests = min(rate, b.requests+now.Sub(b.filled).Minutes()*rate)
	b.filled = now
	if b.requests < 1 {
		return "the profile makes more requests than it may (limits.requests_per_minute)", time.Duration((1 - b.requests) / rate * float64(time.Minute))
	}
	b.requests--
	return "", 0
}

// admitModel reports whether a model may be asked, and if not, in how long. What other
// requests have cost so far counts, so that many at once gain nothing.
func (b *budget) admitModel() (after time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.today(now)
	if b.limits.TokensPerDay > 0 && b.spent.Tokens+b.held >= b.limits.TokensPerDay {
		return b.tomorrow(now), false
	}
	return 0, true
}

// tomorrow is how long the day lasts. The caller holds mu.
func (b *budget) tomorrow(now time.Time) time.Duration {
	return time.Unix((b.spent.Day+1)*86400, 0).Sub(now)
}

// spend counts bytes, and reports whether there may be more. What is under way when
// the last of them is spent goes on for APIs, and ends for tunnels.
func (b *budget) spend(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today(b.now())
	b.spent.Bytes += n
	return b.limits.BytesPerDay == 0 || b.spent.Bytes < b.limits.BytesPerDay
}

// hold takes in that a request which runs has cost so many tokens instead of those
// before, and reports whether it may go on. Alone it always may.
func (b *budget) hold(before, tokens int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today(b.now())
	b.held += tokens - before
	others := b.spent.Tokens + b.held - tokens
	return b.limits.TokensPerDay == 0 || others < farBeyond*b.limits.TokensPerDay
}

// settle spends tokens in place of those that were held.
func (b *budget) settle(held, tokens int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.today(b.now())
	b.held -= held
	b.spent.Tokens += tokens
}

// used is what was spent on a day.
func (b *budget) used() Used {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.spent
}

// resume goes on with what another generation has counted.
func (b *budget) resume(used Used) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.today(b.now()); used.Day == b.spent.Day {
		b.spent = b.spent.Most(used)
	}
}

// today begins a new day if it is one. The caller holds mu.
func (b *budget) today(now time.Time) {
	if day := now.Unix() / 86400; day != b.spent.Day {
		b.spent = Used{Day: day}
	}
}
