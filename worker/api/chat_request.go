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
	// noLimit is what several clients send as max_tokens when they want none.
	noLimit = -1
)

// noResult stands in for the result of a call that has none in a client's
// transcript, as happens when somebody stopped an answer half-way. Models refuse
// a transcript with an open call.
const noResult = "There is no result of this call."

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
		err = setClientTools(&turn, request, s.opts.Agent.HasTool)
	}
	return turn, err
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
		Stop: request.Stop, ReasoningEffort: request.ReasoningEffort,
	}
	if t := params.Temperature; t != nil && (*t < 0 || *t > maxTemperature) {
		return params, invalid("temperature", codeInvalidValue, "temperature must be from 0 to %d, not %v.", maxTemperature, *t)
	}
	if p := params.TopP; p != nil && (*p < 0 || *p > 1) {
		return params, invalid("top_p", codeInvalidValue, "top_p must be from 0 to 1, not %v.", *p)
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

// transcriber takes messages in, one after the other.
type transcriber struct {
	files   *fileReader
	history []llm.Message
	open    []string // ids of calls that have no result yet
}

func (t *transcriber) user(message openai.Message, at string) error {
	t.closeCalls()
	if message.Content.Kind == openai.Null {
		return invalid(at+".content", codeInvalidValue, "%s.content is missing. It must be a string or an array of parts.", at)
	}
	parts, err := userParts(message.Content, t.files, at)
	t.history = append(t.history, llm.Message{Role: llm.User, Parts: parts})
	return err
}

// assistant takes in what a model said before. Frontends send back what they
// were shown, so what hermes put into the text by itself is taken out: a model
// that reads it begins to write such lines instead of calling tools.
func (t *transcriber) assistant(message openai.Message, at string) error {
	t.closeCalls()
	text, err := textOnly(message.Content, at)
	if err != nil {
		return err
	}
	said := llm.Message{Role: llm.Assistant}
	if text = stripShown(text); text != "" {
		said.Parts = []llm.Part{{Text: text}}
	}
	for j, call := range message.ToolCalls {
		where := fmt.Sprintf("%s.tool_calls[%d]", at, j)
		switch {
		case call.ID == "":
			return invalid(where+".id", codeInvalidValue, "%s.id is missing.", where)
		case call.Function.Name == "":
			return invalid(where+".function.name", codeInvalidValue, "%s.function.name is missing.", where)
		}
		said.ToolCalls = append(said.ToolCalls, llm.ToolCall{ID: call.ID, Name: call.Function.Name, Arguments: string(call.Function.Arguments)})
		t.open = append(t.open, call.ID)
	}
	if said.Parts == nil && said.ToolCalls == nil {
		return nil // an answer that was stopped before its first word
	}
	t.history = append(t.history, said)
	return nil
}

func (t *transcriber) tool(message openai.Message, at string) error {
	text, err := textOnly(message.Content, at)
	if err != nil {
		return err
	}
	for i, id := range t.open {
		if id == message.ToolCallID {
			t.open = append(t.open[:i], t.open[i+1:]...)
			result := llm.TextMessage(llm.Tool, text)
			result.ToolCallID = id
			t.history = append(t.history, result)
			return nil
		}
	}
	return invalid(at+".tool_call_id", codeInvalidValue,
		"%s.tool_call_id must be the id of a call in the assistant message before it, and each call takes one result.", at)
}

// closeCalls gives a result to each call that the client sent none for.
func (t *transcriber) closeCalls() {
	for _, id := range t.open {
		result := llm.TextMessage(llm.Tool, noResult)
		result.ToolCallID = id
		t.history = append(t.history, result)
	}
	t.open = t.open[:0]
}

// textOnly returns the text of a message that cannot hold anything else.
func textOnly(content openai.Content, at string) (string, error) {
	var texts []string
	for j, part := range content.Parts {
		switch part.Type {
		case openai.PartText, openai.PartInputText, openai.PartOutputText:
			texts = append(texts, part.Text)
		case openai.PartRefusal:
		default:
			where := fmt.Sprintf("%s.content[%d].type", at, j)
			return "", invalid(where, codeContentType, "%s must be text: a message of this role holds no %s.", where, noun(part.Type))
		}
	}
	return content.Text + strings.Join(texts, ""), nil
}

// userParts returns text, images and the text of files of a message.
func userParts(content openai.Content, files *fileReader, at string) ([]llm.Part, error) {
	if content.Kind == openai.Plain {
		return []llm.Part{{Text: content.Text}}, nil
	}
	if len(content.Parts) == 0 {
		return nil, invalid(at+".content", codeInvalidValue, "%s.content is an empty array. It must hold at least one part.", at)
	}
	parts := make([]llm.Part, 0, len(content.Parts))
	for j, part := range content.Parts {
		where := fmt.Sprintf("%s.content[%d]", at, j)
		switch part.Type {
		case openai.PartText, openai.PartInputText, openai.PartOutputText:
			parts = append(parts, llm.Part{Text: part.Text})
		case openai.PartImageURL, openai.PartInputImage:
			image, err := imagePart(part, where)
			if err != nil {
				return nil, err
			}
			parts = append(parts, image)
		case openai.PartFile, openai.PartInputFile:
			file, err := files.chatPart(part, where)
			if err != nil {
				return nil, err
			}
			parts = append(parts, file)
		case "":
			return nil, invalid(where+".type", codeInvalidValue, "%s.type is missing. It must be text, image_url or file.", where)
		default:
			return nil, invalid(where+".type", codeContentType, "%s.type must be text, image_url or file; %s is not supported.", where, noun(part.Type))
		}
	}
	return parts, nil
}

func imagePart(part openai.Part, where string) (llm.Part, error) {
	if part.ImageURL == nil || part.ImageURL.URL == "" {
		return llm.Part{}, invalid(where+".image_url", codeInvalidValue, "%s.image_url is missing. It must hold the url of an image.", where)
	}
	url := part.ImageURL.URL
	scheme, _, _ := strings.Cut(url, ":")
	isImage := len(url) > len("data:image/") && strings.EqualFold(url[:len("data:image/")], "data:image/")
	if !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") && !isImage {
		return llm.Part{}, invalid(where+".image_url.url", codeInvalidValue,
			"%s.image_url.url must be an http(s) URL or a data URI of an image (data:image/png;base64,…).", where)
	}
	detail := part.ImageURL.Detail
	if detail == "" {
		detail = part.Detail
	}
	switch detail {
	case "", "low", "high", "auto":
		return llm.Part{ImageURL: url, Detail: detail}, nil
	default:
		return llm.Part{}, invalid(where+".image_url.detail", codeInvalidValue, "%s.image_url.detail must be low, high or auto.", where)
	}
}

// noun names a type of parts in a message.
func noun(kind string) string {
	if kind == "" {
		return "part without a type"
	}
	if len(kind) > 40 {
		return "such part"
	}
	return kind
}
