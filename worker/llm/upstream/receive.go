package upstream

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"hermes/worker/llm/sse"
)

// Receiver reads the bodies of answers that should be streams of events. Its zero
// value is ready; it may be used by many calls at once.
type Receiver struct{ readers sync.Pool } // of *sse.Reader

// Receive hands a body to whole, if it is one JSON value, or to events. What it is
// shows in its first byte, not in the headers: some servers answer a stream request
// with one JSON object, others call their streams plain text, and proxies send pages
// with status 200.
func (r *Receiver) Receive(s *Server, body io.Reader, whole func(raw []byte) error, events func(*sse.Reader) error) error {
	reader, ok := r.readers.Get().(*sse.Reader)
	if !ok {
		reader = sse.NewReader(nil)
	}
	reader.Reset(body)
	defer func() {
		reader.Reset(nil)
		r.readers.Put(reader)
	}()
	first, err := reader.Peek()
	if err != nil {
		return Early(err)
	}
	switch first[0] {
	case '{', '[':
		return readWhole(io.MultiReader(bytes.NewReader(first), body), whole)
	case '<':
		return s.Page(io.MultiReader(bytes.NewReader(first), body))
	default:
		return events(reader)
	}
}

// readWhole reads an answer that is one JSON value.
func readWhole(body io.Reader, whole func(raw []byte) error) error {
	raw, err := io.ReadAll(io.LimitReader(body, MaxAnswer+1))
	if err != nil {
		return Early(err)
	}
	if len(raw) > MaxAnswer {
		return new(Answer).Grow(len(raw))
	}
	return whole(raw)
}

// AskJSON is Ask for an answer of at most limit bytes that is one JSON value, which
// is read into out.
func (s *Server) AskJSON(req *http.Request, limit int64, out any) error {
	return s.Ask(req, func(body io.Reader) error {
		raw, err := io.ReadAll(io.LimitReader(body, limit))
		if err != nil {
			return err
		}
		if json.Unmarshal(raw, out) != nil {
			return Malformed(raw)
		}
		return nil
	})
}
