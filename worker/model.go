package worker

import (
	"context"
	"log/slog"
	"strings"

	"hermes/supervisor/handoff"
	"hermes/worker/llm"
	"hermes/worker/llm/demo"
	"hermes/worker/llm/detect"
	"hermes/worker/llm/openaichat"
	"hermes/worker/llm/upstream"
)

// The providers that are no address on the network. Every other one speaks
// chat completions at its base URL.
const (
	providerAuto = "auto"
	providerDemo = "demo"
)

// models is the profile's way to a language model.
type models struct {
	client llm.Client
	// name is the model's id, for the record.
	name     string
	describe func(context.Context) modelState
	close    func()
}

// modelState is what a health check says of the model.
type modelState struct {
	detail   string
	degraded bool // no language model answers
}

// newModels builds the clients of the primary model and its fallbacks, chained.
// No connection is opened before the first turn.
func newModels(start handoff.Start, version string, log *slog.Logger) models {
	http := upstream.NewHTTP()
	m := models{name: start.Model.Model, close: http.CloseIdleConnections}
	var clients []llm.Named
	for i, model := range append([]handoff.Model{start.Model}, start.Fallback...) {
		var client llm.Client
		state := modelState{detail: model.Model + " at " + model.BaseURL + " (" + model.Source + ")"}
		describe := func(context.Context) modelState { return state }
		switch model.Provider {
		case providerDemo:
			client = demo.New(demo.Options{Profile: start.Profile})
			state = modelState{detail: "the demo model answers (" + model.Source + ")", degraded: true}
			if i == 0 {
				m.name = demo.Model
			}
		case providerAuto:
			auto := detect.NewAuto(detect.AutoOptions{
				Profile: start.Profile, Streaming: model.Streaming, Version: version, HTTP: http,
			})
			client = auto
			describe = func(ctx context.Context) modelState {
				d := auto.Describe(ctx)
				return modelState{detail: d.Model + " (" + d.Source + ")", degraded: d.Degraded}
			}
			if i == 0 {
				m.name = providerAuto
			}
		default:
			client = openaichat.New(openaichat.Options{
				BaseURL: model.BaseURL, Model: model.Model, APIKey: model.APIKey, Streaming: model.Streaming,
				Version: version, HTTP: http,
			})
		}
		if i == 0 {
			m.describe = describe
		}
		clients = append(clients, llm.Named{Name: strings.TrimSuffix(model.Provider+"/"+model.Model, "/"), Client: client})
	}
	m.client = llm.Retrying(llm.Options{Clients: clients, Log: log})
	return m
}
