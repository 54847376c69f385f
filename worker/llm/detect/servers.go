package detect

import (
	"context"
	"slices"
	"strconv"
	"strings"
)

// maxShown is how many of Ollama's models are asked what they can do.
const maxShown = 8

// lookOllama reads Ollama's own API: https://github.com/ollama/ollama/blob/main/docs/api.md.
// The first model that can call tools is preferred; the list begins with the
// one that was changed last.
func lookOllama(ctx context.Context, c *caller) (model, bool) {
	var version struct {
		Version string `json:"version"`
	}
	var tags struct {
		Models []struct {
			Name   string `json:"name"`
			Digest string `json:"digest"`
		} `json:"models"`
	}
	if !c.get(ctx, "/api/version", &version) || version.Version == "" || !c.get(ctx, "/api/tags", &tags) {
		return model{}, false
	}
	var talks []model
	for i, tag := range tags.Models {
		if tag.Name == "" || tag.Digest == "" || i == maxShown {
			break
		}
		m, ok := showOllama(ctx, c, tag.Name)
		if ok && m.tools {
			return m, true
		}
		if ok {
			talks = append(talks, m)
		}
	}
	if len(talks) == 0 {
		return model{}, false
	}
	return talks[0], true
}

// showOllama asks what a model can do, and reports whether it can be talked to.
// Old versions do not say; then its name has to do.
func showOllama(ctx context.Context, c *caller, name string) (model, bool) {
	var show struct {
		Capabilities []string       `json:"capabilities"`
		Parameters   string         `json:"parameters"`
		Info         map[string]any `json:"model_info"`
	}
	if !c.post(ctx, "/api/show", map[string]string{"model": name}, &show) {
		return model{id: name}, !strings.Contains(name, "embed")
	}
	m := model{id: name, tools: slices.Contains(show.Capabilities, "tools"), contextLength: numCtx(show.Parameters)}
	for key, value := range show.Info {
		if length, ok := value.(float64); ok && m.contextLength == 0 && strings.HasSuffix(key, ".context_length") {
			m.contextLength = int(length)
		}
	}
	if show.Capabilities == nil {
		return m, !strings.Contains(name, "embed")
	}
	return m, slices.Contains(show.Capabilities, "completion")
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

// list is an answer of /v1/models.
type list struct {
	Data []struct {
		ID          string `json:"id"`
		OwnedBy     string `json:"owned_by"`
		MaxModelLen int    `json:"max_model_len"` // vLLM
	} `json:"data"`
}

// owned reports whether all models of the list belong to owner. Servers of the
// same API are told apart by it; hermes' own says hermes.
func (l list) owned(owner string) bool {
	for _, m := range l.Data {
		if m.ID == "" || m.OwnedBy != owner {
			return false
		}
	}
	return len(l.Data) > 0
}

// lookLlamaCPP reads llama-server's API:
// https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md.
func lookLlamaCPP(ctx context.Context, c *caller) (model, bool) {
	var models list
	if !c.get(ctx, "/v1/models", &models) || !models.owned("llamacpp") {
		return model{}, false
	}
	m := model{id: models.Data[0].ID}
	var props struct {
		Settings struct {
			NCtx int `json:"n_ctx"`
		} `json:"default_generation_settings"`
		Template string `json:"chat_template"`
	}
	if c.get(ctx, "/props", &props) { // it may be switched off
		m.contextLength = props.Settings.NCtx
		m.tools = strings.Contains(props.Template, "tools")
	}
	return m, true
}

// lookLMStudio reads LM Studio's own API: https://lmstudio.ai/docs/developer/rest.
// Models that are loaded go before those that would have to be, and of these
// the ones that can call tools before the others.
func lookLMStudio(ctx context.Context, c *caller) (model, bool) {
	best, rank := model{}, -1
	for _, m := range listLMStudio(ctx, c) {
		r := 0
		if m.loaded {
			r += 2
		}
		if m.tools {
			r++
		}
		if r > rank {
			best, rank = m.model, r
		}
	}
	return best, rank >= 0
}

// studioModel is a model of LM Studio.
type studioModel struct {
	model
	loaded bool
}

// listLMStudio lists the models to talk to, by version 1 of the API, or by
// version 0 for LM Studio before 0.4.
func listLMStudio(ctx context.Context, c *caller) []studioModel {
	var v1 struct {
		Models []struct {
			Type   string `json:"type"`
			Key    string `json:"key"`
			Loaded []struct {
				Config struct {
					ContextLength int `json:"context_length"`
				} `json:"config"`
			} `json:"loaded_instances"`
			Max          int `json:"max_context_length"`
			Capabilities struct {
				Tools bool `json:"trained_for_tool_use"`
			} `json:"capabilities"`
		} `json:"models"`
	}
	var models []studioModel
	if c.get(ctx, "/api/v1/models", &v1) {
		for _, m := range v1.Models {
			if m.Key == "" || m.Type != "llm" {
				continue
			}
			found := studioModel{model{m.Key, m.Max, m.Capabilities.Tools}, len(m.Loaded) > 0}
			if found.loaded && m.Loaded[0].Config.ContextLength > 0 {
				found.contextLength = m.Loaded[0].Config.ContextLength
			}
			models = append(models, found)
		}
		return models
	}
	var v0 struct {
		Data []struct {
			ID           string   `json:"id"`
			Type         string   `json:"type"`
			State        string   `json:"state"`
			Capabilities []string `json:"capabilities"`
			Loaded       int      `json:"loaded_context_length"`
			Max          int      `json:"max_context_length"`
		} `json:"data"`
	}
	if !c.get(ctx, "/api/v0/models", &v0) {
		return nil
	}
	for _, m := range v0.Data {
		if m.ID == "" || m.Type != "llm" && m.Type != "vlm" || m.State != "loaded" && m.State != "not-loaded" {
			continue
		}
		found := studioModel{model{m.ID, m.Max, slices.Contains(m.Capabilities, "tool_use")}, m.State == "loaded"}
		if m.Loaded > 0 {
			found.contextLength = m.Loaded
		}
		models = append(models, found)
	}
	return models
}

// lookVLLM reads vLLM's API: https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html.
// Whether tools are switched on is not to be learned from it.
func lookVLLM(ctx context.Context, c *caller) (model, bool) {
	var models list
	if !c.get(ctx, "/v1/models", &models) || !models.owned("vllm") {
		return model{}, false
	}
	return model{id: models.Data[0].ID, contextLength: models.Data[0].MaxModelLen}, true
}
