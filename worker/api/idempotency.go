package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"hermes/worker/openai"
	"hermes/worker/store"
)

const (
	// keyHeader is the header with which a client makes a request safe to repeat.
	keyHeader = "Idempotency-Key"
	// replayedHeader says that an answer is that of an earlier request.
	replayedHeader = "Idempotency-Replayed"
	// retryHeader counts how often an official SDK has sent a request before.
	retryHeader = "X-Stainless-Retry-Count"
	maxKey      = 255
	// neighbourPoll is how often another process of this profile is asked how far
	// the run of a request is. There is one only while one takes over from another.
	neighbourPoll = 250 * time.Millisecond
	// unannounced is how long after a failure the same request is taken for a
	// repetition although it does not say so. Such libraries pause for 2 and 4 s (AI
	// SDK) or up to a minute in all (LangChain); a person who asks again within it is
	// told what went wrong once more.
	unannounced = time.Minute
)

// The scopes of claims: a key that a client chose, or the request itself, which an
// SDK sends again by itself when it has no answer.
const (
	scopeKey   = "key"
	scopeRetry = "retry"
)

// claim is the right to run a request that must not run twice. The nil claim is
// that of a request that nobody protects; all of its methods do nothing.
type claim struct {
	s       *Server
	claim   store.Claim
	flight  *flight  // nil before the claim is made, and when it has an answer
	failure *failure // what a client was told that cannot be told otherwise
}

// flight is a protected request that runs in this process.
type flight struct {
	bodyHash []byte
	done     chan struct{} // closed when its claim has an answer, or is free again
}

// flights knows those that run, by scope and key.
type flights struct {
	mu   sync.Mutex // guards open
	open map[string]*flight
}

// take puts a flight in, unless there is one: then that one is returned.
func (fs *flights) take(name string, mine *flight) (other *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if other := fs.open[name]; other != nil {
		return other
	}
	fs.open[name] = mine
	return nil
}

// land takes a flight out.
func (fs *flights) land(name string, mine *flight) {
	fs.mu.Lock()
	delete(fs.open, name)
	fs.mu.Unlock()
	close(mine.done)
}

// wanted reads what a request says of being repeated. The claim is nil for one
// that may run whenever it comes. Path and body tell requests apart.
func (s *Server) wanted(r *http.Request, body []byte) (*claim, error) {
	hash := sha256.New()
	hash.Write([]byte(r.URL.Path))
	hash.Write([]byte{0})
	hash.Write(body)
	c := &claim{s: s, claim: store.Claim{BodyHash: hash.Sum(nil)}}
	if keys, ok := r.Header[http.CanonicalHeaderKey(keyHeader)]; ok {
		if len(keys) != 1 || !visibleASCII(keys[0]) || len(keys[0]) > maxKey {
			return nil, invalid("", codeKeyInvalid, "Idempotency-Key must be 1 to %d visible ASCII characters, and sent once.", maxKey)
		}
		c.claim.Scope, c.claim.Key = scopeKey, keys[0]
		return c, nil
	}
	tries, err := strconv.Atoi(r.Header.Get(retryHeader))
	counted, silent := err == nil && tries >= 0, fromAgentSDK(r.Header)
	if !counted && !silent {
		return nil, nil
	}
	c.claim.Scope, c.claim.Key, c.claim.Fresh = scopeRetry, hex.EncodeToString(c.claim.BodyHash), !counted || tries == 0
	if silent {
		c.claim.KeepFailed = unannounced
	}
	return c, nil
}

func visibleASCII(text string) bool {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return text != ""
}

// begin waits until the request may run, and then returns no answer, or until
// there is the answer of an earlier one. RunID and responseID are those of the
// run that would begin.
func (c *claim) begin(ctx context.Context, runID, responseID string) (*store.Answer, error) {
	c.claim.RunID, c.claim.ResponseID = runID, responseID
	for {
		mine := &flight{bodyHash: c.claim.BodyHash, done: make(chan struct{})}
		other := c.s.flights.take(c.name(), mine)
		switch {
		case other == nil:
		case c.claim.Fresh: // the same request at the same time, and no repetition
			return nil, nil
		case !bytes.Equal(other.bodyHash, c.claim.BodyHash):
			return nil, keyConflict()
		default:
			select {
			case <-other.done:
				continue
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		claimed, err := c.s.opts.Store.BeginIdempotent(ctx, c.claim)
		if err == nil && claimed.State == store.ClaimNew {
			c.flight = mine
			return nil, nil
		}
		stale := err == nil && claimed.State == store.ClaimRunning && claimed.Ours
		if stale {
			err = c.release(ctx)
		}
		c.s.flights.land(c.name(), mine)
		switch {
		case err != nil:
			return nil, c.s.storeFailure(err)
		case stale:
			continue
		case claimed.State == store.ClaimReplay:
			return &claimed.Answer, nil
		case claimed.State == store.ClaimConflict:
			return nil, keyConflict()
		}
		select {
		case <-time.After(neighbourPoll):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// release ends a claim of this process that nobody works on, as no flight is open
// for it: the disk was full when its own request wanted to end it.
func (c *claim) release(ctx context.Context) error {
	freed, err := c.s.opts.Store.ForgetIdempotent(ctx, c.claim.Scope, c.claim.Key)
	if err != nil || freed {
		return err
	}
	return c.s.opts.Store.FinishIdempotent(ctx, store.Finish{
		Scope: c.claim.Scope, Key: c.claim.Key, Relaxed: c.claim.Scope == scopeRetry, Answer: SettleAnswer(c.claim),
	})
}

func (c *claim) name() string { return c.claim.Scope + " " + c.claim.Key }

// keyed reports whether the client has chosen a key: then it counts on the answer
// even if it loses the connection.
func (c *claim) keyed() bool { return c != nil && c.claim.Scope == scopeKey }

// silent reports whether the client repeats requests without saying so.
func (c *claim) silent() bool { return c.claim.KeepFailed > 0 }

// finish is the end of the claim with an answer, to be stored.
func (c *claim) finish(status int, body []byte) *store.Finish {
	if c == nil || c.flight == nil {
		return nil
	}
	return &store.Finish{
		Scope: c.claim.Scope, Key: c.claim.Key, Relaxed: c.claim.Scope == scopeRetry,
		Answer: store.Answer{Status: status, ContentType: "application/json", Body: body},
	}
}

// land says that the answer which finish returned is stored: whoever waits for it
// finds it.
func (c *claim) land() {
	c.s.flights.land(c.name(), c.flight)
	c.flight = nil
}

// end stores an answer.
func (c *claim) end(ctx context.Context, finish *store.Finish) error {
	if finish == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	if err := c.s.opts.Store.FinishIdempotent(ctx, *finish); err != nil {
		return err
	}
	c.land()
	return nil
}

// failed says what a client was told whose answer had begun.
func (c *claim) failed(f *failure) {
	if c != nil {
		c.failure = f
	}
}

// settle ends a claim whose request has ended with err, or with a panic. Where no
// tool has begun the request may be sent again; where one has, it must not run
// again, and is answered with what went wrong.
func (c *claim) settle(ctx context.Context, err error) {
	if c == nil || c.flight == nil {
		return
	}
	defer c.land()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
	defer cancel()
	freed, storeErr := c.s.opts.Store.ForgetIdempotent(ctx, c.claim.Scope, c.claim.Key)
	if storeErr == nil && !freed {
		f, ok := errors.AsType[*failure](err)
		switch {
		case ok:
		case c.failure != nil:
			f = c.failure
		default:
			f = interruptedRun()
			if errors.Is(err, errGone) && c.silent() {
				f.status = statusGone // nobody was told of a failure: who asks again wants a new answer
			}
		}
		body := f.body
		body.NoNull = c.silent()
		storeErr = c.s.opts.Store.FinishIdempotent(ctx, *c.finish(f.status, encodeBody(openai.ErrorBody{Error: body})))
	}
	if storeErr != nil {
		c.s.opts.Log.Warn("claim of a request was not ended", "error", storeErr)
	}
}

// keyConflict is the answer to a key that was used for another request.
func keyConflict() *failure {
	f := refused(http.StatusConflict, openai.TypeInvalidRequest, codeKeyConflict,
		"This Idempotency-Key was used for a request with another body. Use a new key for a new request.")
	f.final = true
	return f
}

// interruptedRun is the answer to a request that was sent again, whose first run
// broke off when a tool had begun.
func interruptedRun() *failure {
	f := refused(http.StatusInternalServerError, openai.TypeServer, codeInterrupted,
		"The first run of this request broke off after a tool had begun, so it is not run again. Look at what it has done before you ask anew.")
	f.final = true
	return f
}

// SettleAnswer is what a request is answered with that is sent again after the
// process died in which it ran. See store.Options.
func SettleAnswer(store.Claim) store.Answer {
	f := interruptedRun()
	return store.Answer{Status: f.status, ContentType: "application/json", Body: encodeBody(openai.ErrorBody{Error: f.body})}
}
