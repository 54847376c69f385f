package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"hermes/worker/openai"
)

// Limits bounds what a profile uses over time. The zero value is no limit.
type Limits struct {
	// TurnsPerMinute is how many turns may begin at once after a quiet minute,
	// and how many in each minute from then on. 0 is no limit.
	TurnsPerMinute int
	// TokensPerDay is how many tokens, in and out, turns and background tasks
	// may use in a day of UTC. A turn that runs when they are used up is
	// finished here, so a day can end above the limit; where egress counts too, it
	// refuses the turn's next call of the model. 0 is no limit.
	TokensPerDay int64
}

// Ledger remembers the tokens that were used.
type Ledger interface {
	// TokensSince returns how many tokens were used at or after from.
	TokensSince(ctx context.Context, from time.Time) (int64, error)
}

// limits keeps Limits.
type limits struct {
	ledger Ledger // may be nil
	now    func() time.Time

	mu sync.Mutex // guards what follows
	Limits
	turns  float64   // how many may begin now
	filled time.Time // when turns was right
	known  bool      // the ledger was read
	day    time.Time // the beginning of the day that spent belongs to
	spent  int64
}

func newLimits(l Limits, ledger Ledger, now func() time.Time) *limits {
	return &limits{Limits: l, ledger: ledger, now: now, turns: float64(l.TurnsPerMinute), filled: now()}
}

// apply changes the limits. What was used of the old ones counts against the new.
func (l *limits) apply(next Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	used := float64(l.TurnsPerMinute) - l.turns
	l.Limits = next
	l.turns = float64(next.TurnsPerMinute) - used
}

// get returns the limits.
func (l *limits) get() Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Limits
}

// take lets a turn begin, or says why not. What a turn has taken that was not
// begun after all is given back.
func (l *limits) take() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.TurnsPerMinute == 0 {
		return nil
	}
	l.fill()
	if l.turns >= 1 {
		l.turns--
		return nil
	}
	wait := time.Duration((1 - l.turns) / l.perSecond() * float64(time.Second))
	f := refused(http.StatusTooManyRequests, openai.TypeRateLimit, codeRateLimit,
		"This agent has reached its limit of turns a minute, which is %d (limits.turns_per_minute). Try again in %s seconds.",
		l.TurnsPerMinute, retryAfter(wait))
	f.retryAfter = wait
	return f
}

func (l *limits) giveBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turns = min(l.turns+1, float64(l.TurnsPerMinute))
}

// fill adds what has become free since the last time. The caller holds mu.
func (l *limits) fill() {
	now := l.now()
	if passed := now.Sub(l.filled).Seconds(); passed > 0 {
		l.turns = min(l.turns+passed*l.perSecond(), float64(l.TurnsPerMinute))
	}
	l.filled = now
}

func (l *limits) perSecond() float64 { return float64(l.TurnsPerMinute) / 60 }

// withinQuota returns an error when the tokens of this day are used up.
func (l *limits) withinQuota(ctx context.Context) error {
	limit := l.get().TokensPerDay
	if limit == 0 {
		return nil
	}
	spent, left, err := l.today(ctx)
	if err != nil || spent < limit {
		return err
	}
	f := refused(http.StatusTooManyRequests, openai.TypeQuota, codeQuota,
		"This agent has used up its tokens of this day: %d of %d (limits.tokens_per_day). The next day begins at 00:00 UTC, in %s.",
		spent, limit, inWords(left))
	f.retryAfter = left
	f.final = true // nothing that an SDK waits for by itself takes that long
	return f
}

// usedUp is the answer when whoever asks the models for this worker says that the
// tokens of the day are used up: it counts what ran until now, so it may be the
// first to know.
func (l *limits) usedUp() *failure {
	l.mu.Lock()
	l.turnPage()
	left := l.day.AddDate(0, 0, 1).Sub(l.now())
	l.mu.Unlock()
	f := refused(http.StatusTooManyRequests, openai.TypeQuota, codeQuota,
		"This agent has used up its tokens of this day (limits.tokens_per_day). The next day begins at 00:00 UTC, in %s.", inWords(left))
	f.retryAfter = left
	f.final = true // as in withinQuota
	return f
}

// today returns how many tokens were used in this day, and how much is left of
// the day.
func (l *limits) today(ctx context.Context) (spent int64, left time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turnPage()
	if !l.known && l.ledger != nil {
		before, err := l.ledger.TokensSince(ctx, l.day)
		switch {
		case err != nil && ctx.Err() != nil:
			return 0, 0, context.Cause(ctx)
		case err != nil:
			return 0, 0, fmt.Errorf("read what was used: %w", err)
		}
		l.spent += before
	}
	l.known = true
	return l.spent, l.day.AddDate(0, 0, 1).Sub(l.now()), nil
}

// spend counts tokens when they have been used.
func (l *limits) spend(tokens int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.turnPage()
	l.spent += int64(tokens)
}

// turnPage begins to count anew when a day has begun. The caller holds mu.
func (l *limits) turnPage() {
	year, month, day := l.now().UTC().Date()
	if today := time.Date(year, month, day, 0, 0, 0, 0, time.UTC); today.After(l.day) {
		l.day, l.spent = today, 0
	}
}

// used says how much of the limits is used up, for people who watch. What the
// ledger does not tell is left out: that the database is broken is said
// elsewhere.
func (l *limits) used(ctx context.Context) limitsBody {
	var body limitsBody
	limits := l.get()
	if limits.TurnsPerMinute > 0 {
		l.mu.Lock()
		l.fill()
		used := int64(limits.TurnsPerMinute) - int64(math.Floor(l.turns))
		l.mu.Unlock()
		body.TurnsPerMinute = &limitBody{Limit: int64(limits.TurnsPerMinute), Used: used}
	}
	if limits.TokensPerDay > 0 {
		if spent, _, err := l.today(ctx); err == nil {
			body.TokensPerDay = &limitBody{Limit: limits.TokensPerDay, Used: spent}
		}
	}
	return body
}

// limitsBody holds the limits that are set.
type limitsBody struct {
	TurnsPerMinute *limitBody `json:"turns_per_minute,omitempty"`
	TokensPerDay   *limitBody `json:"tokens_per_day,omitempty"`
}

type limitBody struct {
	Limit int64 `json:"limit"`
	Used  int64 `json:"used"`
}

// inWords writes how long it takes until something, rounded up to minutes.
func inWords(d time.Duration) string {
	minutes := int(math.Ceil(d.Minutes()))
	if minutes < 60 {
		return fmt.Sprintf("%d min", minutes)
	}
	return fmt.Sprintf("%d h %d min", minutes/60, minutes%60)
}
