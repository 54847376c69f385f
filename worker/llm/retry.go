package llm

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"
)

// How long and how often a Chain tries. An attempt of a model costs seconds, so
// three of them are as many as a person will wait for.
const (
	maxAttempts = 3
	firstPause  = 500 * time.Millisecond // upper bound of the first pause; it doubles
	// waitBudget bounds the pauses of one call, all clients together.
	waitBudget = 30 * time.Second
	// longWait is the pause from which on another client is the better choice.
	longWait = 5 * time.Second
)

// Named is a client with the name that errors and logs call it by.
type Named struct {
	Name   string
	Client Client
}

// Options say what a Chain works with.
type Options struct {
	// Clients are asked in this order: the first one first, the others when
	// those before them fail.
	Clients []Named
	Log     *slog.Logger // nil discards

	Now  func() time.Time // time.Now if nil
	Rand func() float64   // numbers in [0,1) that spread the pauses; rand.Float64 if nil
}

// Chain is a Client that asks others. What may pass by itself is tried again,
// what a client cannot do is tried with the next one, and a client that failed
// is left alone for a while. All that happens only before the first event of an
// answer. Once a reader has seen a part of it, a broken connection is answered
// once with the request for the rest, joined without a repetition; every other
// failure is a failure.
type Chain struct {
	links []*link
	log   *slog.Logger
	now   func() time.Time
	rand  func() float64
}

// Retrying makes a Chain of the clients. Without any, it answers each call with
// an error of class NoModel.
func Retrying(opts Options) *Chain {
	c := &Chain{log: opts.Log, now: opts.Now, rand: opts.Rand}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.rand == nil {
		c.rand = rand.Float64
	}
	for _, client := range opts.Clients {
		c.links = append(c.links, &link{Named: client})
	}
	return c
}

// Stream asks the clients until one has answered, or has begun to. The error of
// emit comes back untouched and nothing is tried after it, nor after the end of
// ctx. Any other error is an *Error that names its client.
func (c *Chain) Stream(ctx context.Context, req Request, emit func(Event) error) (Message, error) {
	call := &call{chain: c, req: req, emit: emit, budget: waitBudget}
	links := c.order()
	var errs []*Error
	for i, link := range links {
		last := i == len(links)-1
		message, err := call.ask(ctx, link, !last)
		message = call.whole(message)
		switch {
		case err == nil:
			link.recovered()
			return message, nil
		case call.emitErr != nil:
			return message, call.emitErr
		case ctx.Err() != nil:
			return message, err
		}
		failed := attributed(err, link.Name)
		errs = append(errs, failed)
		if !elsewhere(failed.Class) {
			return message, joined(errs)
		}
		if len(links) > 1 {
			rest := link.failed(c.now(), failed.RetryAfter)
			c.log.Warn("model is left alone for a while", "upstream", link.Name, "class", failed.Class, "rest", rest)
		}
		if last || call.shown {
			return message, joined(errs)
		}
		if err := call.again(failed); err != nil {
			return message, err
		}
	}
	return Message{}, &Error{Class: NoModel, Message: "No model is configured."}
}

// call is one Stream of a Chain on its way.
type call struct {
	chain   *Chain
	req     Request
	emit    func(Event) error
	emitErr error
	shown   bool // a part of the answer has gone out
	blind   bool // without the images that tools showed: see learn
	attempt int
	budget  time.Duration // what is left of waitBudget

	// After a connection broke in the middle of an answer: see resume.
	resumed bool
	broke   *Error          // how the connection broke
	partial Message         // what had arrived
	seam    *seam           // nil when no text had
	text    strings.Builder // all text that went out, kept if seam is set
}

// ask tries one client, more than once if that may help. Spare says that there
// is another one to turn to: then what is busy is not waited for.
func (c *call) ask(ctx context.Context, link *link, spare bool) (Message, error) {
	for try := 1; ; try++ {
		c.attempt++
		message, err := link.Client.Stream(ctx, link.fit(ctx, c.req, c.blind), c.pass)
		message, err = c.joined(message, err)
		if err == nil || c.emitErr != nil || ctx.Err() != nil {
			return message, err
		}
		failed := attributed(err, link.Name)
		if link.learn(c, failed) {
			continue
		}
		pause := c.pause(try, failed)
		tooLong := pause > c.budget || spare && (pause > longWait || failed.Class == Overloaded)
		resumes := c.mayResume(failed)
		if c.shown && !resumes || !failed.Temporary() || try == maxAttempts || tooLong {
			return message, failed
		}
		c.budget -= pause
		if resumes {
			c.chain.log.Warn("model is asked for the rest of a broken answer", "upstream", link.Name, "error", failed)
			c.resume(failed, message)
		} else {
			c.chain.log.Debug("model is tried again", "upstream", link.Name, "class", failed.Class, "pause", pause)
			if err := c.again(failed); err != nil {
				return message, err
			}
		}
		if err := sleep(ctx, pause); err != nil {
			return message, err
		}
	}
}

// pass hands an event on and takes note of it.
func (c *call) pass(event Event) error {
	if text, ok := event.(Text); ok && c.seam != nil {
		literal, err := c.seam.take(text.JSON)
		if err != nil {
			return err
		}
		if len(literal) == 0 {
			return nil
		}
		event = Text{JSON: literal, More: text.More}
	}
	switch event := event.(type) {
	case Text:
		c.shown = c.shown || len(event.JSON) > 2
		if err := c.note(event.JSON); err != nil {
			return err
		}
	case Reasoning:
		c.shown = true
	case Retry:
	}
	if c.emitErr == nil {
		c.emitErr = c.emit(event)
	}
	return c.emitErr
}

// again announces another attempt.
func (c *call) again(failed *Error) error {
	return c.pass(Retry{Attempt: c.attempt, Err: failed})
}

// pause is how long to wait after the given try: what the upstream asked for,
// and on top of it a random part of a bound that doubles, so that many who were
// turned away together do not come back together.
func (c *call) pause(try int, failed *Error) time.Duration {
	bound := firstPause << (try - 1)
	return failed.RetryAfter + time.Duration(c.chain.rand()*float64(bound))
}

// sleep waits for d, or returns the reason why ctx ended before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// elsewhere reports whether another client may do what one has failed to. It
// may not when the request itself is at fault.
func elsewhere(class Class) bool {
	switch class {
	case BadRequest, Overflow, ContentFilter, Quota:
		return false
	default:
		return true
	}
}

// attributed returns err as an *Error that names the client it came from.
func attributed(err error, name string) *Error {
	failed, ok := errors.AsType[*Error](err)
	if !ok {
		return &Error{Class: Malformed, Upstream: name, Err: err}
	}
	named := *failed
	if named.Upstream == "" {
		named.Upstream = name
	}
	return &named
}
