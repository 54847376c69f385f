package ollama

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"hermes/worker/llm"
)

const (
	// maxBody bounds what is read of an answer that is no chat.
	maxBody = 8 << 20
	// maxWindow is the longest context that a model is loaded with unless it was
	// set: a window costs memory whether it is used or not, and with this one a
	// model of 8 billion parameters still fits into 16 GB. Ollama advises 64,000
	// for agents where there is room
	// (https://github.com/ollama/ollama/blob/main/docs/context-length.mdx).
	maxWindow = 32_768
)

// get reads the JSON object that answers a request into out.
func (c *Client) get(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := c.request(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	return c.server.AskJSON(req, maxBody, out)
}

// resolve returns the model to ask: the one of the options, else the first one
// that can hold a conversation.
func (c *Client) resolve(ctx context.Context) (string, error) {
	if model := c.model.Load(); model != nil {
		return *model, nil
	}
	var tags struct {
		Models []struct {
			Name string `json:"name"`
		} `json:"models"`
	}
	if err := c.get(ctx, http.MethodGet, "/api/tags", nil, &tags); err != nil {
		return "", err
	}
	for _, m := range tags.Models {
		if m.Name != "" && !strings.Contains(strings.ToLower(m.Name), "embed") {
			c.model.CompareAndSwap(nil, &m.Name)
			return *c.model.Load(), nil
		}
	}
	return "", &llm.Error{Class: llm.NoModel, Message: "Ollama at " + c.server.Host() + " has no model to talk to; get one with: ollama pull qwen3"}
}

// Capabilities is what is known of the model. See llm.Capable. The context is
// the one that the model is loaded with.
func (c *Client) Capabilities(ctx context.Context) llm.Capabilities {
	can := llm.Capabilities{}
	if c.server.Invalid == nil {
		can = c.lookup.Get(ctx)
	}
	can.ContextLength = c.window(can)
	return can
}

// window is how many tokens the model is to be loaded with: what was set, else
// what the model's author has set, else what it can, within bounds. 0 leaves it
// to the server.
func (c *Client) window(can llm.Capabilities) int {
	switch own := int(c.ctx.Load()); {
	case c.context > 0:
		return c.context
	case own > 0:
		return own
	default:
		return min(can.ContextLength, maxWindow)
	}
}

// look asks the server what the model can do.
func (c *Client) look(ctx context.Context) (llm.Capabilities, error) {
	model, err := c.resolve(ctx)
	if err != nil {
		return llm.Capabilities{}, err
	}
	var show struct {
		Capabilities []string       `json:"capabilities"`
		Parameters   string         `json:"parameters"`
		Info         map[string]any `json:"model_info"`
	}
	if err := c.get(ctx, http.MethodPost, "/api/show", map[string]string{"model": model}, &show); err != nil {
		return llm.Capabilities{}, err
	}
	can := llm.Capabilities{}
	for key, value := range show.Info {
		if length, ok := value.(float64); ok && strings.HasSuffix(key, ".context_length") {
			can.ContextLength = int(length)
		}
	}
	c.ctx.Store(int64(numCtx(show.Parameters)))
	if show.Capabilities != nil { // old versions do not say
		can.Tools = llm.SupportIf(slices.Contains(show.Capabilities, "tools"))
		can.Vision = llm.SupportIf(slices.Contains(show.Capabilities, "vision"))
		can.Reasoning = llm.SupportIf(slices.Contains(show.Capabilities, "thinking"))
	}
	return can, nil
}

// numCtx reads the context length that a model's Modelfile sets.
func numCtx(parameters string) int {
	for line := range strings.Lines(parameters) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "num_ctx" {
			n, err := strconv.Atoi(fields[1])
			if err == nil && n > 0 {
				return n
			}
		}
	}
	return 0
}
