package openaichat

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"hermes/worker/llm/sse"
	"hermes/worker/llm/upstream"
)

// receive reads the body of an answer.
func (c *Client) receive(a *answer, body io.Reader) error {
	return c.receiver.Receive(c.server, body,
		func(raw []byte) error { return c.whole(a, raw) },
		func(reader *sse.Reader) error { return c.events(a, reader) })
}

// whole reads an answer that is one JSON object.
func (c *Client) whole(a *answer, raw []byte) error {
	var answered chunk
	switch err := json.NewDecoder(bytes.NewReader(raw)).Decode(&answered); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return upstream.ErrEarly
	case err != nil && raw[0] == '[', err == nil && answered.failed():
		return c.told(raw)
	case err != nil:
		return upstream.Malformed(raw)
	case len(answered.Choices) == 0:
		return upstream.Malformed(raw)
	}
	return a.take(answered)
}

// events reads an answer that is a stream.
func (c *Client) events(a *answer, reader *sse.Reader) error {
	a.Buffered = reader.Buffered
	for {
		event, err := reader.Next()
		if err != nil && event.Data == nil {
			if a.finish != "" && upstream.Ended(err) {
				return nil // no [DONE], but the model has finished
			}
			return upstream.Early(err)
		}
		if done, failure := c.event(a, event, err != nil); done || failure != nil {
			return failure
		}
		if err := a.Settle(); err != nil {
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
		return false, a.Plain(literal)
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
		return false, upstream.ErrEarly
	case err != nil:
		return false, upstream.Malformed(data)
	case piece.failed():
		return false, c.told(data)
	}
	return false, a.take(piece)
}

// told makes an error of one that the server tells of inside its answer.
func (c *Client) told(body []byte) error {
	return upstream.Failure(0, nil, body, c.server.Now())
}
