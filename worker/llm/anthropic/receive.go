package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"hermes/worker/llm/sse"
	"hermes/worker/llm/upstream"
)

// event is one event of a stream, as
// https://platform.claude.com/docs/en/build-with-claude/streaming describes them,
// or a whole message. Fields stay raw until somebody asks for them, so that a
// strange value of one that does not matter costs nothing.
type event struct {
	Type         string                     `json:"type"`
	Index        json.RawMessage            `json:"index"`
	Message      *message                   `json:"message"`
	ContentBlock map[string]json.RawMessage `json:"content_block"`
	Delta        delta                      `json:"delta"`
	Usage        usage                      `json:"usage"`
}

// message is what message_start brings, and what a whole answer is.
type message struct {
	Type       string                       `json:"type"`
	Content    []map[string]json.RawMessage `json:"content"`
	StopReason json.RawMessage              `json:"stop_reason"`
	Usage      usage                        `json:"usage"`
}

// delta is what content_block_delta and message_delta bring.
type delta struct {
	Type        string          `json:"type"`
	Text        json.RawMessage `json:"text"`
	PartialJSON json.RawMessage `json:"partial_json"`
	Thinking    json.RawMessage `json:"thinking"`
	Signature   json.RawMessage `json:"signature"`
	StopReason  json.RawMessage `json:"stop_reason"`
}

// usage counts tokens. Those that are read from or written to the cache are not
// among the input tokens.
type usage struct {
	Input         json.RawMessage `json:"input_tokens"`
	Output        json.RawMessage `json:"output_tokens"`
	CacheRead     json.RawMessage `json:"cache_read_input_tokens"`
	CacheCreation json.RawMessage `json:"cache_creation_input_tokens"`
	Details       struct {
		Thinking json.RawMessage `json:"thinking_tokens"`
	} `json:"output_tokens_details"`
}

// receive reads the body of an answer.
func (c *Client) receive(a *answer, body io.Reader) error {
	return c.receiver.Receive(c.server, body,
		func(raw []byte) error { return c.whole(a, raw) },
		func(reader *sse.Reader) error { return c.events(a, reader) })
}

// whole reads an answer that is one JSON object.
func (c *Client) whole(a *answer, raw []byte) error {
	var m message
	switch err := json.NewDecoder(bytes.NewReader(raw)).Decode(&m); {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return upstream.ErrEarly
	case err != nil:
		return upstream.Malformed(raw)
	case m.Type == "error":
		return c.told(raw)
	case m.Content == nil:
		return upstream.Malformed(raw)
	}
	a.count(m.Usage)
	for i, content := range m.Content {
		b := a.begin(i, content)
		if err := a.fill(b, content); err != nil {
			return err
		}
	}
	a.stopped(upstream.Str(m.StopReason))
	return nil
}

// events reads an answer that is a stream.
func (c *Client) events(a *answer, reader *sse.Reader) error {
	a.Buffered = reader.Buffered
	for {
		next, err := reader.Next()
		if err != nil && next.Data == nil {
			if a.reason != "" && upstream.Ended(err) {
				return nil // no message_stop, but the model has finished
			}
			return upstream.Early(err)
		}
		var e event
		switch failed := json.Unmarshal(next.Data, &e); {
		case failed != nil && len(bytes.TrimSpace(next.Data)) == 0:
			continue
		case failed != nil && err != nil && a.reason != "":
			return nil
		case failed != nil && err != nil:
			return upstream.ErrEarly
		case failed != nil:
			return upstream.Malformed(next.Data)
		}
		switch {
		case e.Type == "error" || next.Name == "error":
			return c.told(next.Data)
		case e.Type == "message_stop":
			return nil
		}
		if err := a.take(e); err != nil {
			return err
		}
		if err := a.Settle(); err != nil {
			return err
		}
	}
}

// told makes an error of one that the server tells of inside its answer.
func (c *Client) told(body []byte) error {
	return upstream.Failure(0, nil, body, c.server.Now())
}
