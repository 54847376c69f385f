package openaichat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"hermes/worker/llm"
	"hermes/worker/llm/sse"
)

// emitError marks an error of emit, which is handed back as it is.
type emitError struct{ err error }

func (e *emitError) Error() string { return e.err.Error() }

func (e *emitError) Unwrap() error { return e.err }

// errEarly is the error of an answer that stops before its end.
var errEarly = errors.New("the model's answer ended early")

// receive reads the body of an answer. What it is shows in its first byte, not
// in the headers: some servers answer a stream request with one JSON object,
// others call their streams plain text, and proxies send pages with status 200.
func (c *Client) receive(a *answer, body io.Reader) error {
	reader, ok := c.readers.Get().(*sse.Reader)
	if !ok {
		reader = sse.NewReader(nil)
	}
	reader.Reset(body)
	defer func() {
		reader.Reset(nil)
		c.readers.Put(reader)
	}()
	first, err := reader.Peek()
	if err != nil {
		return early(err)
	}
	switch first[0] {
	case '{', '[':
		return c.whole(a, io.MultiReader(bytes.NewReader(first), body))
	case '<':
		page, err := io.ReadAll(io.LimitReader(io.MultiReader(bytes.NewReader(first), body), maxFailure))
		if err != nil {
			return err
		}
		return &llm.Error{
			Class:   llm.Malformed,
			Message: fmt.Sprintf("%s answered with %s; model.base_url must be the address of an API", c.host(), read(page).message),
		}
	default:
		return c.events(a, reader)
	}
}

// whole reads an answer that is one JSON object.
func (c *Client) whole(a *answer, body io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return early(err)
	}
	if len(raw) > maxAnswer {
		return a.grow(len(raw))
	}
	var answered chunk
	switch err := json.NewDecoder(bytes.NewReader(raw)).Decode(&answered); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errEarly
	case err != nil && raw[0] == '[', err == nil && answered.failed():
		return c.told(raw)
	case err != nil:
		return malformed(raw)
	case len(answered.Choices) == 0:
		return malformed(raw)
	}
	return a.take(answered)
}

// events reads an answer that is a stream.
func (c *Client) events(a *answer, reader *sse.Reader) error {
	a.buffered = reader.Buffered
	for {
		event, err := reader.Next()
		if err != nil && event.Data == nil {
			if a.finish != "" && ended(err) {
				return nil // no [DONE], but the model has finished
			}
			return early(err)
		}
		if done, failure := c.event(a, event, err != nil); done || failure != nil {
			return failure
		}
		if err := a.settle(); err != nil {
			return err
		}
	}
}

// event deals with one event and reports whether it was the last. Cut says that
// the stream ended inside of it.
func (c *Client) event(a *answer, event sse.Event, cut bool) (bool, error) {
	if event.Name == "error" {
		return false, c.told(event.Data)
	}
	if literal, ok := plainContent(&a.scanner, event.Data); ok {
		return false, a.plain(literal)
	}
	data := bytes.TrimSpace(event.Data)
	switch string(data) {
	case "":
		return false, nil
	case "[DONE]":
		return true, nil
	}
	var piece chunk
	switch err := json.Unmarshal(data, &piece); {
	case err != nil && cut && a.finish != "":
		return true, nil
	case err != nil && cut:
		return false, errEarly
	case err != nil:
		return false, malformed(data)
	case piece.failed():
		return false, c.told(data)
	}
	return false, a.take(piece)
}

// told makes an error of one that the server tells of inside its answer.
func (c *Client) told(body []byte) error {
	return failure(0, nil, body, c.now())
}

// refusal is the error of a request that was answered with a status of failure,
// and so before anything was emitted.
type refusal struct{ err *llm.Error }

func (r *refusal) Error() string { return r.err.Error() }

func (r *refusal) Unwrap() error { return r.err }

// refused makes an error of an answer whose status is not one of success.
func (c *Client) refused(resp *http.Response, body io.Reader) error {
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		target := "elsewhere"
		if location, err := resp.Location(); err == nil {
			target = "to " + location.Scheme + "://" + location.Host + location.Path
		}
		return &refusal{&llm.Error{
			Class: llm.BadRequest, Status: resp.StatusCode,
			Message: oneLine(c.host() + " redirects " + target + ", which is not followed with a key; set model.base_url to the right address"),
		}}
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxFailure))
	if err != nil {
		raw = nil // the status says enough
	}
	return &refusal{failure(resp.StatusCode, resp.Header, raw, c.now())}
}

// malformed is the error of an event or answer that is not what it should be.
func malformed(data []byte) error {
	const shown = 100
	data = data[:min(len(data), shown)]
	return &llm.Error{Class: llm.Malformed, Message: "the model server broke its protocol: " + oneLine(string(data))}
}

// early says that a body ended before the answer did.
func early(err error) error {
	if ended(err) {
		return errEarly
	}
	return err
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
