package openaichat

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// maxModels bounds a list of models; OpenRouter's has about 1 MB.
const maxModels = 8 << 20

// target is the model that a request goes to.
type target struct {
	model  string
	origin string // see llm.Message.Origin
	// newMaxTokens: the model knows the token limit by its newer name only.
	newMaxTokens bool
}

func (c *Client) aim(model string) *target {
	return &target{
		model:        model,
		origin:       c.server.Name + "/" + model,
		newMaxTokens: c.server.Base.Hostname() == "api.openai.com" && reasons(model),
	}
}

// reasons reports whether an OpenAI model is of the o-series or GPT-5 or later,
// which know the token limit by its newer name only.
func reasons(model string) bool {
	number := strings.TrimPrefix(model, "gpt-")
	if number == model {
		return len(model) > 1 && model[0] == 'o' && model[1] >= '1' && model[1] <= '9'
	}
	return number != "" && number[0] >= '5' && number[0] <= '9'
}

// resolve returns the model to ask: the one of the options, else the first one
// that the server lists and that can hold a conversation. The choice is kept.
func (c *Client) resolve(ctx context.Context) (*target, error) {
	if aimed := c.target.Load(); aimed != nil {
		return aimed, nil
	}
	models, err := c.Models(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(models, converses)
	if i < 0 {
		return nil, &llm.Error{Class: llm.NoModel, Message: c.server.Host() + " lists no model to talk to; set model.default"}
	}
	c.target.CompareAndSwap(nil, c.aim(models[i]))
	return c.target.Load(), nil
}

// converses tells by its name whether a model is one to talk to.
func converses(model string) bool {
	return !upstream.Mentions(strings.ToLower(model), []string{"embed", "rerank", "whisper", "tts", "moderation", "dall-e", "image", "bge-"})
}

// Models asks the server for the ids of its models, in its own order. The error
// is an *llm.Error unless ctx has ended.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	list, err := c.list(ctx)
	if err != nil {
		return nil, upstream.Plainly(err)
	}
	models := make([]string, 0, len(list))
	for _, model := range list {
		models = append(models, model.ID)
	}
	return models, nil
}

// list asks the server for its models.
func (c *Client) list(ctx context.Context) ([]listed, error) {
	if c.server.Invalid != nil {
		return nil, c.server.Invalid
	}
	get, err := c.request(ctx, http.MethodGet, "/models", http.NoBody, quirks(c.quirks.Load()))
	if err != nil {
		return nil, err
	}
	var list struct {
		Data []listed `json:"data"`
	}
	err = c.server.Ask(get, func(body io.Reader) error {
		raw, err := io.ReadAll(io.LimitReader(body, maxModels))
		if err != nil {
			return err
		}
		if json.Unmarshal(raw, &list) != nil || list.Data == nil {
			return upstream.Malformed(raw)
		}
		return nil
	})
	return list.Data, err
}
