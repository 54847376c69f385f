package upstream

import (
	"encoding/json"
	"math"
	"strconv"

	"hermes/worker/llm"
)

// Encoder writes the JSON of a request. Whoever uses it sees to it that the
// result is JSON; keys come in the order in which they are written, so that
// equal requests give equal bytes and the provider's cache of prefixes can work.
type Encoder struct{ B []byte }

// NewEncoder makes an Encoder with room for a request.
func NewEncoder(req llm.Request) Encoder { return Encoder{make([]byte, 0, size(req))} }

// Raw writes JSON as it is.
func (e *Encoder) Raw(s string) *Encoder {
	e.B = append(e.B, s...)
	return e
}

// Text writes a string.
func (e *Encoder) Text(s string) *Encoder {
	e.B = AppendQuoted(e.B, s)
	return e
}

// JSON writes a value.
func (e *Encoder) JSON(raw json.RawMessage) *Encoder {
	e.B = append(e.B, raw...)
	return e
}

// Int writes a number.
func (e *Encoder) Int(n int) *Encoder {
	e.B = strconv.AppendInt(e.B, int64(n), 10)
	return e
}

// Float writes a member behind others, unless it is nil or no number of JSON.
func (e *Encoder) Float(key string, value *float64) {
	if value == nil || math.IsNaN(*value) || math.IsInf(*value, 0) {
		return
	}
	e.Raw(",").Text(key).Raw(":")
	e.B = strconv.AppendFloat(e.B, *value, 'g', -1, 64)
}

// List writes a list of n elements, each by a call of write.
func (e *Encoder) List(n int, write func(i int)) {
	e.Raw("[")
	for i := range n {
		if i > 0 {
			e.Raw(",")
		}
		write(i)
	}
	e.Raw("]")
}

// size guesses how long a request will be, a little too long for most.
func size(req llm.Request) int {
	n := 1024
	for _, m := range req.Messages {
		n += 128 + len(m.Reasoning)
		for _, p := range m.Parts {
			n += 64 + len(p.Text) + len(p.Text)/16 + len(p.ImageURL)
		}
		for _, call := range m.ToolCalls {
			n += 128 + len(call.Arguments) + len(call.Arguments)/8
		}
	}
	for _, t := range req.Tools {
		n += 128 + len(t.Description) + len(t.Parameters)
	}
	return n
}
