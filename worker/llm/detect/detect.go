// Package detect finds a model server on this machine: Ollama, llama.cpp, LM
// Studio or vLLM at the ports that they use by default. It looks on loopback
// only, and takes a server for one only if it answers the way that one does, so
// that no request ever goes to something else that happens to listen there.
package detect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// requestTimeout is how long a server may take for one answer. A server on
	// the same machine needs a few milliseconds.
	requestTimeout = 300 * time.Millisecond
	// patience is how many times that one server may take for all its answers.
	patience = 3
)

// The addresses at which model servers listen unless they are told otherwise,
// from their own documentation.
const (
	ollamaAddress   = "127.0.0.1:11434"
	llamaCPPAddress = "127.0.0.1:8080"
	lmStudioAddress = "127.0.0.1:1234"
	vllmAddress     = "127.0.0.1:8000"
)

// Addresses are those that are looked at by default, in the order of preference.
func Addresses() []string {
	return []string{ollamaAddress, llamaCPPAddress, lmStudioAddress, vllmAddress}
}

// ollamaProvider is Ollama's name in model.provider.
const ollamaProvider = "ollama"

// Options says where to look: IP address and port of each kind of server. Empty
// is the address that it uses by default; "-" leaves it out.
type Options struct {
	Ollama, LlamaCPP, LMStudio, VLLM string
	// Timeout is how long a server may take for one answer, 300 ms if 0.
	Timeout time.Duration
	// Transport is how they are reached; nil dials.
	Transport http.RoundTripper
}

// Found is a server that was found, and the model of it to use.
type Found struct {
	// Provider is ollama or openai-compatible, as in model.provider.
	Provider string `json:"provider"`
	// Name is what the server's makers call it.
	Name    string `json:"name"`
	BaseURL string `json:"base_url"` // of its OpenAI-compatible API
	Model   string `json:"model"`
	// ContextLength is the number of tokens that the model takes, as far as
	// the server says; 0 is unknown. Ollama may serve less than it says.
	ContextLength int `json:"context_length,omitempty"`
	// Tools says that the server knows the model to call tools. False may mean
	// that it does not say.
	Tools bool `json:"tools"`
	// Source says in a few words where the server was found.
	Source string `json:"source"`
}

// probe is one kind of server.
type probe struct {
	provider, name string
	address        string
	// look returns the model to use, false when the server is another one or
	// has none.
	look func(ctx context.Context, c *caller) (model, bool)
}

// model is what a probe finds out.
type model struct {
	id            string
	contextLength int
	tools         bool
}

// Local looks for a server, at all addresses at the same time. When there are
// several, the first in the order Ollama, llama.cpp, LM Studio, vLLM is
// returned. The error says that ctx ended, or that an address is not one of
// loopback.
func Local(ctx context.Context, opts Options) (Found, bool, error) {
	probes, err := opts.probes()
	if err != nil {
		return Found{}, false, err
	}
	if opts.Timeout <= 0 {
		opts.Timeout = requestTimeout
	}
	transport := opts.Transport
	if transport == nil {
		transport = &http.Transport{DisableKeepAlives: true} // and no proxy
	}
	models := make([]model, len(probes))
	var wg sync.WaitGroup
	for i, p := range probes {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience*opts.Timeout)
			defer cancel()
			if m, ok := p.look(ctx, newCaller(p.address, transport, opts.Timeout)); ok {
				models[i] = m
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return Found{}, false, fmt.Errorf("look for a model server: %w", context.Cause(ctx))
	}
	for i, m := range models {
		if m.id == "" {
			continue
		}
		p := probes[i]
		return Found{
			Provider: p.provider, Name: p.name, BaseURL: "http://" + p.address + "/v1",
			Model: m.id, ContextLength: m.contextLength, Tools: m.tools,
			Source: p.name + " found at http://" + p.address,
		}, true, nil
	}
	return Found{}, false, nil
}

// probes returns what to look for, in the order of preference.
func (o Options) probes() ([]probe, error) {
	const compatible = "openai-compatible"
	all := []probe{
		{ollamaProvider, "Ollama", orDefault(o.Ollama, ollamaAddress), lookOllama},
		{compatible, "llama.cpp", orDefault(o.LlamaCPP, llamaCPPAddress), lookLlamaCPP},
		{compatible, "LM Studio", orDefault(o.LMStudio, lmStudioAddress), lookLMStudio},
		{compatible, "vLLM", orDefault(o.VLLM, vllmAddress), lookVLLM},
	}
	var probes []probe
	for _, p := range all {
		if p.address == "-" {
			continue
		}
		address, err := netip.ParseAddrPort(p.address)
		if err != nil || !address.Addr().IsLoopback() {
			return nil, errors.New(p.name + " is looked for on loopback only, not at " + p.address)
		}
		probes = append(probes, p)
	}
	return probes, nil
}

func orDefault(address, otherwise string) string {
	if address == "" {
		return otherwise
	}
	return address
}
