package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// The largest values of fields that are passed on or echoed.
const (
	maxModelName   = 256
	maxTemperature = 2
	maxPenalty     = 2
	// noLimit is what several clients send as max_tokens when they want none.
	noLimit = -1
)

// chatTurn makes a turn of a request, or says what is wrong with it.
func (s *Server) chatTurn(ctx context.Context, request *openai.ChatRequest, openWebUI bool) (agent.Turn, error) {
	if err := checkSupported(request); err != nil {
		return agent.Turn{}, err
	}
	params, err := chatParams(request)
	if err != nil {
		return agent.Turn{}, err
	}
	history, system, err := transcript(request.Messages, s.newFileReader(ctx))
	if err != nil {
		return agent.Turn{}, err
	}
	turn := agent.Turn{History: history, System: system, Params: params, Source: "chat"}
	if !openWebUI { // it adds its own tools by itself and would run them by itself
		offer, err := chatOffer(request)
		if err != nil {
			return agent.Turn{}, err
		}
		err = setClientTools(&turn, offer, s.opts.Agent.HasTool)
		return turn, err
	}
	return turn, nil
}

// checkSupported refuses what would change the answer and is not done here.
// What merely asks for less, or for what happens anyway, passes.
func checkSupported(request *openai.ChatRequest) error {
	unsupported := func(param, format string, args ...any) error {
		return invalid(param, codeUnsupported, format, args...)
	}
	switch {
	case len(request.Model) > maxModelName:
		return invalid("model", codeInvalidValue, "model is longer than %d bytes.", maxModelName)
	case request.N != nil && *request.N != 1:
		return unsupported("n", "n must be 1: an agent does the work once.")
	case request.Logprobs != nil && *request.Logprobs:
		return unsupported("logprobs", "logprobs must be false: there are none for a turn of an agent.")
	case len(request.Audio) > 0 && string(request.Audio) != "null":
		return unsupported("audio", "This server answers in text only; leave audio out.")
	}
	for i, modality := range request.Modalities {
		if modality != "text" {
			return unsupported(fmt.Sprintf("modalities[%d]", i), "This server answers in text only; modalities may hold nothing but text.")
		}
	}
	return nil
}

// chatParams checks the wishes that are passed on to the model.
func chatParams(request *openai.ChatRequest) (agent.Params, error) {
	params := agent.Params{
		Temperature: request.Temperature, TopP: request.TopP,
		PresencePenalty: unlessZero(request.PresencePenalty), FrequencyPenalty: unlessZero(request.FrequencyPenalty),
		Stop: request.Stop, ReasoningEffort: request.ReasoningEffort,
	}
	if t := params.Temperature; t != nil && (*t < 0 || *t > maxTemperature) {
		return params, invalid("temperature", codeInvalidValue, "temperature must be from 0 to %d, not %v.", maxTemperature, *t)
	}
	if p := params.TopP; p != nil && (*p < 0 || *p > 1) {
		return params, invalid("top_p", codeInvalidValue, "top_p must be from 0 to 1, not %v.", *p)
	}
	for _, penalty := range []struct {
		name  string
		value *float64
	}{{"presence_penalty", params.PresencePenalty}, {"frequency_penalty", params.FrequencyPenalty}} {
		if v := penalty.value; v != nil && (*v < -maxPenalty || *v > maxPenalty) {
			return params, invalid(penalty.name, codeInvalidValue, "%s must be from -%d to %d, not %v.", penalty.name, maxPenalty, maxPenalty, *v)
		}
	}
	format, err := responseFormat(request.ResponseFormat)
	if err != nil {
		return params, err
	}
	params.ResponseFormat = format
	for _, limit := range []struct {
		name  string
		value *int
	}{{"max_tokens", request.MaxTokens}, {"max_completion_tokens", request.MaxCompletionTokens}} {
		switch {
		case limit.value == nil || *limit.value == noLimit:
		case *limit.value < 1:
			return params, invalid(limit.name, codeInvalidValue, "%s must be at least 1, not %d. Leave it out for no limit.", limit.name, *limit.value)
		default:
			params.MaxTokens = *limit.value
		}
	}
	return params, nil
}

// unlessZero leaves out a 0 that a client sends to ask for nothing: some models
// refuse the field.
func unlessZero(value *float64) *float64 {
	if value != nil && *value == 0 {
		return nil
	}
	return value
}

// responseFormat checks the shape that an answer should have, and returns it as
// the model is sent it, nil for plain text. It goes with every call of the model,
// because nobody knows before which of them will be the answer.
func responseFormat(format *openai.ResponseFormat) ([]byte, error) {
	switch {
	case format == nil || format.Type == "text":
		return nil, nil
	case format.Type == "json_object":
		return []byte(`{"type":"json_object"}`), nil
	case format.Type == "":
		return nil, invalid("response_format.type", codeInvalidValue, "response_format.type is missing. It must be text, json_object or json_schema.")
	case format.Type != "json_schema":
		return nil, invalid("response_format.type", codeUnsupported, "response_format.type must be text, json_object or json_schema.")
	}
	var schema struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(format.JSONSchema, &schema); err != nil || schema.Name == "" {
		return nil, invalid("response_format.json_schema", codeInvalidValue,
			"response_format.json_schema must be an object with the name of the schema and the schema itself: {\"name\": …, \"schema\": {…}}.")
	}
	return appendJSON(nil, format), nil
}

// transcript turns a client's messages into the history of a turn, and joins
// the system messages, wherever they stand, into one text.
func transcript(messages []openai.Message, files *fileReader) (history []llm.Message, system string, err error) {
	if len(messages) == 0 {
		return nil, "", invalid("messages", codeInvalidValue, "messages must hold at least one message.")
	}
	var systems []string
	t := transcriber{files: files, history: make([]llm.Message, 0, len(messages))}
	asked := false
	for i, message := range messages {
		at := fmt.Sprintf("messages[%d]", i)
		switch message.Role {
		case openai.RoleSystem, openai.RoleDeveloper:
			text, err := textOnly(message.Content, at)
			if err != nil {
				return nil, "", err
			}
			if text != "" {
				systems = append(systems, text)
			}
			continue
		case openai.RoleUser:
			asked = true
			err = t.user(message, at)
		case openai.RoleAssistant:
			err = t.assistant(message, at)
		case openai.RoleTool:
			asked = true
			err = t.tool(message, at)
		case "":
			err = invalid(at+".role", codeInvalidValue, "%s.role is missing. It must be system, developer, user, assistant or tool.", at)
		default:
			err = invalid(at+".role", codeInvalidValue, "%s.role must be system, developer, user, assistant or tool.", at)
		}
		if err != nil {
			return nil, "", err
		}
	}
	t.closeCalls()
	if !asked {
		return nil, "", invalid("messages", codeInvalidValue, "messages holds nothing to answer: there must be a message of the user.")
	}
	return t.history, strings.Join(systems, "\n\n"), nil
}
