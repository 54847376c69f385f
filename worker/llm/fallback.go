package llm

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// How long a client that failed is left alone: the first time, and at most. It
// doubles with each failure that follows on a rest.
const (
	firstRest = time.Minute
	maxRest   = 15 * time.Minute
)

// link is a client of a Chain, and how it has been doing.
type link struct {
	Named
	blind atomic.Bool // it has refused images

	mu       sync.Mutex // guards what follows
	failures int        // rests in a row
	until    time.Time  // the end of its rest
}

// recovered takes note of an answer.
func (l *link) recovered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures, l.until = 0, time.Time{}
}

// failed begins a rest and returns its length. Failures that come while the
// client rests already, from calls that were under way, do not make it longer.
func (l *link) failed(now time.Time, retryAfter time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.until) {
		return l.until.Sub(now)
	}
	rest := maxRest
	if l.failures < 4 { // 1, 2, 4, 8 minutes
		rest = firstRest << l.failures
	}
	rest = min(max(rest, retryAfter), maxRest)
	l.failures++
	l.until = now.Add(rest)
	return rest
}

// resting returns the end of the client's rest, or the zero time.
func (l *link) resting(now time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.until) {
		return l.until
	}
	return time.Time{}
}

// order is the order in which to ask now: those that do not rest as they are
// configured, then the others by the end of their rest. Nobody is left out: a
// client that may fail is better than no answer.
func (c *Chain) order() []*link {
	now := c.now()
	rests := make(map[*link]time.Time, len(c.links))
	for _, link := range c.links {
		rests[link] = link.resting(now)
	}
	links := slices.Clone(c.links)
	slices.SortStableFunc(links, func(a, b *link) int { return rests[a].Compare(rests[b]) })
	return links
}

// joined makes one error of those of several clients. It has the class of the
// first one, which is what the profile is set up to use, and the shortest wait
// that any of them asked for. Where the last one found the request too long, it is
// that: a shorter one will do, as long as the others rest.
func joined(errs []*Error) *Error {
	if len(errs) == 1 {
		return errs[0]
	}
	all := &Error{Class: errs[0].Class, Code: errs[0].Code}
	texts := make([]string, 0, len(errs))
	for _, err := range errs {
		texts = append(texts, err.Error())
		if err.RetryAfter > 0 {
			all.RetryAfter = cmp.Or(min(all.RetryAfter, err.RetryAfter), err.RetryAfter)
		}
	}
	all.Message = strings.Join(texts, "; ")
	last := errs[len(errs)-1]
	if all.Err = last; last.Class == Overflow {
		all.Class, all.Code, all.Limit, all.Sent = Overflow, last.Code, last.Limit, last.Sent
	}
	return all
}

// Capabilities are those of the client that would be asked now.
func (c *Chain) Capabilities(ctx context.Context) Capabilities {
	links := c.order()
	if len(links) == 0 {
		return Capabilities{}
	}
	can := CapabilitiesOf(ctx, links[0].Client)
	can.Upstream = links[0].Name
	return can
}
