package openaichat

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// listed is what servers say of a model in their list. The official API says
// nothing but the id; what others add has a name of its own with each. A number
// that is none counts as 0.
type listed struct {
	ID string `json:"id"`
	// The context: OpenRouter, Mistral, vLLM, Groq, llama.cpp.
	ContextLength json.RawMessage `json:"context_length"`
	MaxContext    json.RawMessage `json:"max_context_length"`
	MaxModelLen   json.RawMessage `json:"max_model_len"`
	ContextWindow json.RawMessage `json:"context_window"`
	Meta          struct {
		NCtx json.RawMessage `json:"n_ctx"`
	} `json:"meta"`
	// The longest answer: Groq, OpenRouter.
	MaxCompletion json.RawMessage `json:"max_completion_tokens"`
	TopProvider   struct {
		MaxCompletion json.RawMessage `json:"max_completion_tokens"`
	} `json:"top_provider"`
	// OpenRouter.
	Parameters   []string `json:"supported_parameters"`
	Architecture struct {
		Input []string `json:"input_modalities"`
	} `json:"architecture"`
	// Mistral says it in an object. Others have a list of words by that name.
	Capabilities json.RawMessage `json:"capabilities"`
}

// can is what the list says of the model.
func (l listed) can() llm.Capabilities {
	can := llm.Capabilities{
		ContextLength: cmp.Or(upstream.Number(l.ContextLength), upstream.Number(l.MaxContext), upstream.Number(l.MaxModelLen),
			upstream.Number(l.ContextWindow), upstream.Number(l.Meta.NCtx)),
		OutputLimit: cmp.Or(upstream.Number(l.MaxCompletion), upstream.Number(l.TopProvider.MaxCompletion)),
	}
	if l.Parameters != nil {
		can.Tools = llm.SupportIf(slices.Contains(l.Parameters, "tools"))
		can.Reasoning = llm.SupportIf(slices.Contains(l.Parameters, "reasoning"))
	}
	if l.Architecture.Input != nil {
		can.Vision = llm.SupportIf(slices.Contains(l.Architecture.Input, "image"))
	}
	var mistral struct {
		Tools  *bool `json:"function_calling"`
		Vision *bool `json:"vision"`
	}
	if json.Unmarshal(l.Capabilities, &mistral) == nil {
		if mistral.Tools != nil {
			can.Tools = llm.SupportIf(*mistral.Tools)
		}
		if mistral.Vision != nil {
			can.Vision = llm.SupportIf(*mistral.Vision)
		}
	}
	return can
}

// Capabilities is what is known of the model. See llm.Capable.
func (c *Client) Capabilities(ctx context.Context) llm.Capabilities {
	can := llm.Capabilities{ContextLength: c.context}
	if c.server.Invalid == nil {
		can = can.Or(c.lookup.Get(ctx))
	}
	if to := c.target.Load(); to != nil {
		can = can.Or(llm.Known(to.model))
	}
	return can
}

// look reads in the server's list what the model can do.
func (c *Client) look(ctx context.Context) (llm.Capabilities, error) {
	to, err := c.resolve(ctx)
	if err != nil {
		return llm.Capabilities{}, err
	}
	list, err := c.list(ctx)
	if err != nil {
		return llm.Capabilities{}, err
	}
	for _, model := range list {
		if model.ID == to.model {
			return model.can(), nil
		}
	}
	return llm.Capabilities{}, nil
}
