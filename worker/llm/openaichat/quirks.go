package openaichat

import (
	"net/http"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// quirks are what a client has learned about its server by being refused. They
// last as long as the client.
type quirks uint32

const (
	// otherMaxTokens: the token limit has the other of its two names.
	otherMaxTokens quirks = 1 << iota
	// noStreamOptions: the server does not know stream_options.
	noStreamOptions
	// noReasoning: the server does not want its reasoning_content back.
	noReasoning
	// barePath: the API is at the root of the host, not below /v1.
	barePath
)

// learn reads out of a refusal what the next attempt should do differently. It
// returns known unchanged when there is nothing to learn.
func (c *Client) learn(known quirks, req llm.Request, refused *llm.Error) quirks {
	words := strings.ToLower(refused.Message + " " + refused.Code)
	if refused.Status == http.StatusNotFound && c.guessed && !strings.Contains(words, "model") {
		return known | barePath
	}
	if refused.Status != http.StatusBadRequest && refused.Status != http.StatusUnprocessableEntity {
		return known
	}
	unknownField := upstream.Mentions(words, []string{
		"unsupported", "not supported", "not support", "unknown", "unrecognized", "unexpected", "extra", "not permitted", "not allowed",
	})
	switch {
	case req.MaxTokens > 0 && unknownField && upstream.Mentions(words, []string{"max_tokens", "max_completion_tokens"}):
		return known | otherMaxTokens
	case c.streaming && strings.Contains(words, "stream_options"):
		return known | noStreamOptions
	case strings.Contains(words, "reasoning_content") && !strings.Contains(words, "missing"):
		return known | noReasoning
	default:
		return known
	}
}
