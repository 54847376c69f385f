package usage

import (
	"strconv"
	"time"
)

const (
	// maxTokens is what one answer can cost at most. What a server counts beyond it, or
	// below nothing, is no count.
	maxTokens = 1 << 30
	// perSecond is how many tokens a model is taken to write in a second in which
	// nobody sees what it writes, because it thinks in secret or answers all at once.
	perSecond = 50
	// mark is the byte order mark, which a body may begin with.
	mark = "\xef\xbb\xbf"
)

// Answer finds the tokens of an answer that goes by. The zero value is ready.
type Answer struct {
	walk   walker
	lines  lines
	form   form
	counts counts
	said   int64 // bytes of text
	bytes  int64
	ended  bool // nothing follows that would count
}

// form is what an answer is.
type form uint8

const (
	unknown form = iota
	plain        // JSON values, one or more
	events       // an event stream
)

// counts are what the server has counted last, each 0 if it did not.
type counts struct{ prompt, completion, total, input, output, cacheRead, cacheCreation int64 }

// Count is what a request costs.
type Count struct {
	In, Out int64
	// Estimated says that not all of it was counted by the server.
	Estimated bool
}

// Take takes the next bytes of the body.
func (a *Answer) Take(p []byte) {
	a.bytes += int64(len(p))
	for a.form == unknown && len(p) > 0 {
		switch p[0] {
		case ' ', '\t', '\r', '\n', mark[0], mark[1], mark[2]:
			p = p[1:]
		case '{', '[':
			a.form = plain
		default:
			a.form = events
		}
	}
	switch a.form {
	case unknown:
	case plain:
		a.walk.walk(p, a)
	case events:
		a.lines.split(p, func(data []byte) { a.walk.walk(data, a) }, a.walk.reset)
	}
}

// End says that the answer has come to its end, and was not cut off.
func (a *Answer) End() { a.ended = true }

// Count is what the request has cost so far: what the server says, or else the estimate
// for the request and the text of the answer. As long as an answer has not ended, the
// server's count of it is that of a moment ago, so it is at least the estimate. What a
// model writes unseen is estimated by how long it took.
func (a *Answer) Count(request *Request, took time.Duration) Count {
	in, out := a.counts.sums()
	c := Count{In: in, Out: out}
	if in == 0 {
		c.In, c.Estimated = request.Tokens(), true
	}
	if in > 0 && a.ended {
		return c
	}
	said := a.said
	if said == 0 && in == 0 && out == 0 { // in no form that is known here
		said = a.bytes
	}
	unseen := int64(took.Seconds() * perSecond)
	c.Out, c.Estimated = max(out, estimate(said), unseen), true
	return c
}

// sums are the tokens in and out. What Anthropic has read from its cache or written to
// it is not among its input.
func (c *counts) sums() (in, out int64) {
	in, out = c.prompt, c.completion
	if in == 0 && c.total > out {
		in = c.total - out
	}
	if in == 0 {
		in, out = c.input+c.cacheRead+c.cacheCreation, max(out, c.output)
	}
	return in, out
}

// piece counts text: every string, keys of a call's arguments among them, in the
// members that hold what a model says.
func (a *Answer) piece(w *walker, n int) {
	switch w.keys[1] {
	case choices, content, contentBlock, delta, message:
		a.said += int64(n)
	}
}

// scalar takes in a count, and the [DONE] of an event stream.
func (a *Answer) scalar(w *walker) {
	text, all := w.text()
	if !all {
		return
	}
	key, top := w.keys[w.depth], w.depth == 2 && w.keys[1] == usage
	switch {
	case top || w.depth == 3 && w.keys[1] == message && w.keys[2] == usage:
		if into := a.counts.of(key); into != nil {
			set(into, text)
		}
		// Of Anthropic's counts these are the last: those of the beginning are in the message.
		a.ended = a.ended || top && key == outputTokens
	case w.depth == 1 && key == promptEvalCount:
		set(&a.counts.prompt, text)
	case w.depth == 1 && key == evalCount:
		set(&a.counts.completion, text)
	case w.depth == 1 && a.form == events && w.state == inScalar && string(text) == "DONE":
		a.ended = true
	}
}

// whole takes in the end of a value. One that is no event and has the count is all.
func (a *Answer) whole(*walker) {
	if in, _ := a.counts.sums(); in > 0 && a.form == plain {
		a.ended = true
	}
}

// of is where a count goes.
func (c *counts) of(key word) *int64 {
	switch key {
	case promptTokens:
		return &c.prompt
	case completionTokens:
		return &c.completion
	case totalTokens:
		return &c.total
	case inputTokens:
		return &c.input
	case outputTokens:
		return &c.output
	case cacheRead:
		return &c.cacheRead
	case cacheCreation:
		return &c.cacheCreation
	default:
		return nil
	}
}

// set reads a number, in quotes or not. Nothing, and what can be no count, changes
// nothing.
func set(into *int64, text []byte) {
	n, err := strconv.ParseFloat(string(text), 64)
	if err == nil && n >= 1 && n <= maxTokens {
		*into = int64(n)
	}
}
