package worker

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"hermes/supervisor/handoff"
	"hermes/worker/llm"
	"hermes/worker/llm/anthropic"
	"hermes/worker/llm/demo"
	"hermes/worker/llm/detect"
	"hermes/worker/llm/ollama"
	"hermes/worker/llm/openaichat"
	"hermes/worker/llm/upstream"
)

// The providers that are spoken to in a way of their own. Every other one speaks
// chat completions at its base URL.
const (
	providerAuto      = "auto"
	providerDemo      = "demo"
	providerAnthropic = "anthropic"
	providerOllama    = "ollama"
)

// models is the profile's way to a language model.
type models struct {
	client llm.Client
	// name is the model's id, for the record.
	name     string
	describe func(context.Context) modelState
}

// modelState is what a health check says of the model.
type modelState struct {
	detail   string
	degraded bool // no language model answers
}

// newModels builds the clients of the primary model and its fallbacks, chained.
// No connection is opened before the first turn.
func newModels(start handoff.Start, outside reach, version string, log *slog.Logger) models {
	m := models{name: start.Model.Model}
	var clients []llm.Named
	for i, model := range append([]handoff.Model{start.Model}, start.Fallback...) {
		client, describe := newModel(start.Profile, model, version, outside, i)
		if i == 0 {
			m.describe = describe
			switch model.Provider {
			case providerDemo:
				m.name = demo.Model
			case providerAuto:
				m.name = providerAuto
			}
		}
		clients = append(clients, llm.Named{Name: strings.TrimSuffix(model.Provider+"/"+model.Model, "/"), Client: client})
	}
	m.client = llm.Retrying(llm.Options{Clients: clients, Log: log})
	return m
}

// newModel builds the client of one model, and what a health check says of it.
func newModel(profile string, model handoff.Model, version string, outside reach, i int) (llm.Client, func(context.Context) modelState) {
	opts := upstream.Options{
		BaseURL: model.BaseURL, Model: model.Model, APIKey: model.APIKey, ContextLength: model.ContextLength,
		Streaming: model.Streaming, Version: version, HTTP: outside.client(handoff.ModelWay(i)),
	}
	var client llm.Client
	switch model.Provider {
	case providerDemo:
		state := modelState{detail: "the demo model answers (" + model.Source + ")", degraded: true}
		return demo.New(demo.Options{Profile: profile}), func(context.Context) modelState { return state }
	case providerAuto:
		local := detect.AutoOptions{
			Profile: profile, Streaming: model.Streaming, ContextLength: model.ContextLength, Version: version, HTTP: opts.HTTP,
		}
		if way := outside.local(); way != nil {
			local.Where.Transport, local.HTTP = way, &http.Client{Transport: way}
		}
		auto := detect.NewAuto(local)
		return auto, func(ctx context.Context) modelState {
			d := auto.Describe(ctx)
			return modelState{detail: d.Model + " (" + d.Source + ")" + known(ctx, auto), degraded: d.Degraded}
		}
	case providerAnthropic:
		client = anthropic.New(opts)
	case providerOllama:
		client = ollama.New(opts)
	default:
		client = openaichat.New(opts)
	}
	return client, func(ctx context.Context) modelState {
		return modelState{detail: model.Model + " at " + model.BaseURL + " (" + model.Source + ")" + known(ctx, client)}
	}
}

// known says what is known of a model, without asking: a health check is no
// reason to call a provider.
func known(ctx context.Context, client llm.Client) string {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	if can := llm.CapabilitiesOf(ctx, client).String(); can != "" {
		return ": " + can
	}
	return ""
}
