package anthropic

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

const (
	// maxModels bounds a list of models.
	maxModels = 1 << 20
	// assumedLimit is how many tokens an answer may have when nobody knows: what
	// every model since Claude 3.5 takes.
	assumedLimit = 8_192
	// longAnswer is as much as is asked for of models that could say more. It
	// holds a long file with thinking in front, and bounds what one call costs.
	longAnswer = 64_000
	// longWhole is the same without streaming: Anthropic's own SDKs refuse to
	// wait longer than ten minutes for an answer in one piece.
	longWhole = 16_000
)

// listed is what GET /v1/models says of a model. Older servers say the id only.
type listed struct {
	ID           string          `json:"id"`
	MaxInput     json.RawMessage `json:"max_input_tokens"`
	MaxTokens    json.RawMessage `json:"max_tokens"`
	Capabilities struct {
		Image    *supported `json:"image_input"`
		Thinking *supported `json:"thinking"`
	} `json:"capabilities"`
}

// supported is how a capability is told.
type supported struct {
	Supported bool `json:"supported"`
}

func (s *supported) support() llm.Support {
	if s == nil {
		return llm.Unknown
	}
	return llm.SupportIf(s.Supported)
}

// get reads a JSON object of the API into out.
func (c *Client) get(ctx context.Context, path string, out any) error {
	get, err := c.request(ctx, http.MethodGet, path, http.NoBody)
	if err != nil {
		return err
	}
	return c.server.AskJSON(get, maxModels, out)
}

// resolve returns the model to ask: the one of the options, else the first that
// the server lists, which is its newest.
func (c *Client) resolve(ctx context.Context) (string, error) {
	if model := c.model.Load(); model != nil {
		return *model, nil
	}
	var list struct {
		Data []listed `json:"data"`
	}
	if err := c.get(ctx, "/models", &list); err != nil {
		return "", err
	}
	if len(list.Data) == 0 || list.Data[0].ID == "" {
		return "", &llm.Error{Class: llm.NoModel, Message: c.server.Host() + " lists no model to talk to; set model.default"}
	}
	c.model.CompareAndSwap(nil, &list.Data[0].ID)
	return *c.model.Load(), nil
}

// Capabilities is what is known of the model. See llm.Capable.
func (c *Client) Capabilities(ctx context.Context) llm.Capabilities {
	can := llm.Capabilities{ContextLength: c.context, OutputLimit: int(c.limit.Load())}
	if c.server.Invalid == nil {
		can = can.Or(c.lookup.Get(ctx))
	}
	if model := c.model.Load(); model != nil {
		can = can.Or(llm.Known(*model))
	}
	return can
}

// look asks the server what the model can do.
func (c *Client) look(ctx context.Context) (llm.Capabilities, error) {
	model, err := c.resolve(ctx)
	if err != nil {
		return llm.Capabilities{}, err
	}
	var m listed
	if err := c.get(ctx, "/models/"+url.PathEscape(model), &m); err != nil {
		return llm.Capabilities{}, err
	}
	return llm.Capabilities{
		ContextLength: upstream.Number(m.MaxInput), OutputLimit: upstream.Number(m.MaxTokens),
		Vision: m.Capabilities.Image.support(), Reasoning: m.Capabilities.Thinking.support(),
	}, nil
}

// outputLimit is how many tokens to ask for when the request does not say: the
// API wants to be told.
func (c *Client) outputLimit(ctx context.Context) int {
	limit := c.Capabilities(ctx).OutputLimit
	switch {
	case limit == 0:
		return assumedLimit
	case c.streaming:
		return min(limit, longAnswer)
	default:
		return min(limit, longWhole)
	}
}
