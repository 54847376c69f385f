package openaichat

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"hermes/worker/llm"
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
		origin:       c.name + "/" + model,
		newMaxTokens: c.address.Hostname() == "api.openai.com" && reasons(model),
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
		return nil, &llm.Error{Class: llm.NoModel, Message: c.host() + " lists no model to talk to; set model.default"}
	}
	c.target.CompareAndSwap(nil, c.aim(models[i]))
	return c.target.Load(), nil
}

// converses tells by its name whether a model is one to talk to.
func converses(model string) bool {
	return !mentions(strings.ToLower(model), []string{"embed", "rerank", "whisper", "tts", "moderation", "dall-e", "image", "bge-"})
}

// Models asks the server for the ids of its models, in its own order. The error
// is an *llm.Error unless ctx has ended.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	if c.invalid != nil {
		return nil, c.invalid
	}
	watched, watch := newWatch(ctx, c.idleTimeout)
	defer watch.stop()
	address := *c.address
	if quirks(c.quirks.Load())&barePath != 0 {
		address = *c.bare
	}
	address.Path = path.Join(path.Dir(path.Dir(address.Path)), "models")
	get, err := http.NewRequestWithContext(watched, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return nil, c.broken(ctx, watch, err, "cannot ask "+c.host())
	}
	c.sign(get)
	resp, err := c.http.Do(get)
	if err != nil {
		return nil, c.redacted(c.broken(ctx, watch, err, "cannot reach "+c.host()))
	}
	defer resp.Body.Close()
	body := &watchedBody{Reader: resp.Body, watch: watch}
	if resp.StatusCode/100 != 2 {
		return nil, c.redacted(c.refused(resp, body))
	}
	raw, err := io.ReadAll(io.LimitReader(body, maxModels))
	if err != nil {
		return nil, c.redacted(c.broken(ctx, watch, err, "the answer of "+c.host()+" broke off"))
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if json.Unmarshal(raw, &list) != nil || list.Data == nil {
		return nil, c.redacted(malformed(raw))
	}
	models := make([]string, 0, len(list.Data))
	for _, model := range list.Data {
		models = append(models, model.ID)
	}
	return models, nil
}
