package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"
)

// The limits of metadata, counted in characters.
const (
	maxMetadataPairs = 16
	maxMetadataKey   = 64
	maxMetadataValue = 512
)

// ResponsesRequest is the body of POST /responses. DecodeResponsesRequest reads
// one that a client sent; it is never sent upstream.
type ResponsesRequest struct {
	Model string `json:"model"`
	// Input is what is new in this turn. It holds at least one item.
	Input Items `json:"input"`
	// Instructions is nil when the client sent none, which is not the same as
	// an empty text: with a previous response its instructions stay in force.
	Instructions *string `json:"instructions"`

	// PreviousResponseID and Conversation say what came before. At most one of
	// them is set.
	PreviousResponseID string        `json:"previous_response_id"`
	Conversation       *Conversation `json:"conversation"`
	Metadata           Metadata      `json:"metadata"`

	// Store is nil for the default, true. See Stored.
	Store         *bool                   `json:"store"`
	Background    bool                    `json:"background"`
	Stream        bool                    `json:"stream"`
	StreamOptions *ResponsesStreamOptions `json:"stream_options"`

	MaxOutputTokens  *int             `json:"max_output_tokens"`
	MaxToolCalls     *int             `json:"max_tool_calls"`
	Temperature      *float64         `json:"temperature"`
	TopP             *float64         `json:"top_p"`
	PresencePenalty  *float64         `json:"presence_penalty"`
	FrequencyPenalty *float64         `json:"frequency_penalty"`
	TopLogprobs      *int             `json:"top_logprobs"`
	Truncation       string           `json:"truncation"` // "", auto or disabled
	Text             TextConfig       `json:"text"`
	Reasoning        *ReasoningConfig `json:"reasoning"`

	Tools             []ResponsesTool `json:"tools"`
	ToolChoice        ToolChoice      `json:"tool_choice"`
	ParallelToolCalls *bool           `json:"parallel_tool_calls"`
	Include           []string        `json:"include"`

	User             string `json:"user"`
	ServiceTier      string `json:"service_tier"`
	SafetyIdentifier string `json:"safety_identifier"`
	PromptCacheKey   string `json:"prompt_cache_key"`

	// Prompt names a template that is kept by the server. It is read only so
	// that a server can say that it has none.
	Prompt json.RawMessage `json:"prompt"`
}

// ResponsesStreamOptions says how a stream should look.
type ResponsesStreamOptions struct {
	// IncludeObfuscation asks for padding that hides the length of deltas.
	IncludeObfuscation *bool `json:"include_obfuscation"`
}

// DecodeResponsesRequest reads the body of a request for a response. It is as
// strict as DecodeChatRequest, and its errors are of the same type. Beyond that
// it refuses items and parts of a type that it does not know, references to
// files that are kept elsewhere (an *UnsupportedError), metadata beyond the
// public limits, and fields that contradict each other.
func DecodeResponsesRequest(body []byte) (*ResponsesRequest, error) {
	request := &ResponsesRequest{}
	if err := decode(body, request); err != nil {
		return nil, refine(body, err)
	}
	if err := request.check(); err != nil {
		return nil, err
	}
	return request, nil
}

// refine looks again at the fields whose types the general search for the wrong
// value does not know.
func refine(body []byte, err error) error {
	field, ok := errors.AsType[*FieldError](err)
	if !ok || field.Param == "" {
		return err
	}
	name := field.Param
	if end := strings.IndexAny(name, ".["); end >= 0 {
		name = name[:end]
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &fields) // it was an object before
	var again error
	switch name {
	case "input":
		_, again = decodeItems(fields[name], name)
	case "conversation":
		_, again = decodeConversation(fields[name], name)
	case "metadata":
		_, again = decodeMetadata(fields[name], name)
	}
	if again != nil {
		return again
	}
	return err
}

// check looks at what single fields do not tell.
func (r *ResponsesRequest) check() error {
	switch {
	case len(r.Input) == 0:
		return &FieldError{Param: "input", Message: "is missing or empty: send a text, or an array with at least one item"}
	case r.PreviousResponseID != "" && r.Conversation != nil:
		return &FieldError{Param: "conversation", Message: "cannot be given together with previous_response_id: send one of them"}
	case r.Background && !r.Stored():
		return &FieldError{Param: "background", Message: "needs store to be true, because the result is fetched later"}
	case r.Truncation != "" && r.Truncation != "auto" && r.Truncation != "disabled":
		return &FieldError{Param: "truncation", Message: "must be auto or disabled, not " + quoted(r.Truncation)}
	case r.MaxOutputTokens != nil && *r.MaxOutputTokens < 1:
		return &FieldError{Param: "max_output_tokens", Message: "must be at least 1; leave it out for no limit"}
	case r.MaxToolCalls != nil && *r.MaxToolCalls < 1:
		return &FieldError{Param: "max_tool_calls", Message: "must be at least 1; leave it out for no limit"}
	}
	switch r.Text.Format.Type {
	case "", FormatText, FormatJSONObject, FormatJSONSchema:
		return nil
	default:
		return &FieldError{Param: "text.format.type", Message: "must be text, json_schema or json_object, not " + quoted(r.Text.Format.Type)}
	}
}

// Stored reports whether the response is to be kept.
func (r *ResponsesRequest) Stored() bool { return r.Store == nil || *r.Store }

// NewResponse makes the response to a request, with everything in it that is
// known before the turn begins: queued if it is a background one, in progress
// if not. Instructions and model are as the request has them; a server that
// fills them in sets them afterwards.
func NewResponse(r *ResponsesRequest, id string, created time.Time) Response {
	response := Response{
		ResponseSettings: ResponseSettings{
			ID: id, Object: ObjectResponse, CreatedAt: created.Unix(),
			Background: r.Background, Store: r.Stored(),
			Model: r.Model, Instructions: r.Instructions,
			PreviousResponseID: optional(r.PreviousResponseID), Conversation: r.Conversation,
			MaxOutputTokens: r.MaxOutputTokens, MaxToolCalls: r.MaxToolCalls,
			Temperature: valueOr(r.Temperature, 1), TopP: valueOr(r.TopP, 1),
			PresencePenalty: valueOr(r.PresencePenalty, 0), FrequencyPenalty: valueOr(r.FrequencyPenalty, 0),
			TopLogprobs: valueOr(r.TopLogprobs, 0), Truncation: "disabled",
			Text: r.Text, Reasoning: r.Reasoning,
			Tools: append([]ResponsesTool{}, r.Tools...), ToolChoice: ResponseToolChoice(r.ToolChoice),
			ParallelToolCalls: valueOr(r.ParallelToolCalls, true), ServiceTier: "default",
			SafetyIdentifier: optional(r.SafetyIdentifier), PromptCacheKey: optional(r.PromptCacheKey),
			User: r.User, Metadata: maps.Clone(r.Metadata),
		},
		ResponseState: ResponseState{Status: StatusInProgress, Output: Items{}},
	}
	if r.Truncation != "" {
		response.Truncation = r.Truncation
	}
	if r.Background {
		response.Status = StatusQueued
	}
	return response
}

// Conversation names a conversation that a response belongs to. It is always
// sent as an object.
type Conversation struct {
	ID string `json:"id"`
}

// UnmarshalJSON reads a name, or an object that holds one as its id.
func (c *Conversation) UnmarshalJSON(data []byte) error {
	var err error
	c.ID, err = decodeConversation(data, "")
	return err
}

func decodeConversation(data []byte, path string) (id string, err error) {
	switch first(data) {
	case '"':
		err = json.Unmarshal(data, &id)
	case '{':
		var object struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(data, &object) != nil {
			return "", &FieldError{Param: path + ".id", Message: "must be a string"}
		}
		id = object.ID
	default:
		return "", &FieldError{Param: path, Message: "must be a name, or an object with an id, not " + describe(data)}
	}
	if err == nil && id == "" {
		err = &FieldError{Param: path, Message: "has no name: send a string, or an object with an id"}
	}
	return id, err
}

// Metadata is what a client notes down beside a response. It is sent as an
// object, an empty one if there is none.
type Metadata map[string]string

// MarshalJSON writes an object, never null.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if m == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(map[string]string(m))
}

// UnmarshalJSON reads an object of texts within the public limits.
func (m *Metadata) UnmarshalJSON(data []byte) error {
	var err error
	*m, err = decodeMetadata(data, "")
	return err
}

func decodeMetadata(data []byte, path string) (Metadata, error) {
	if first(data) == 'n' {
		return nil, nil
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil {
		return nil, &FieldError{Param: path, Message: "must be an object whose values are strings, not " + describe(data)}
	}
	if len(values) > maxMetadataPairs {
		return nil, &FieldError{Param: path, Message: fmt.Sprintf("holds %d pairs; at most %d are kept", len(values), maxMetadataPairs)}
	}
	metadata := make(Metadata, len(values))
	for key, value := range values {
		var text string
		switch {
		case utf8.RuneCountInString(key) > maxMetadataKey:
			return nil, &FieldError{Param: path, Message: fmt.Sprintf("holds a key of more than %d characters: %s", maxMetadataKey, quoted(key))}
		case first(value) != '"' || json.Unmarshal(value, &text) != nil:
			return nil, &FieldError{Param: path + "." + key, Message: "must be a string, not " + describe(value)}
		case utf8.RuneCountInString(text) > maxMetadataValue:
			return nil, &FieldError{Param: path + "." + key, Message: fmt.Sprintf("is longer than %d characters", maxMetadataValue)}
		}
		metadata[key] = text
	}
	return metadata, nil
}

// UnsupportedError is the FieldError of something that is well-formed, and that
// is not done here.
type UnsupportedError struct{ Field *FieldError }

func (e *UnsupportedError) Error() string { return e.Field.Error() }

// Unwrap returns the FieldError.
func (e *UnsupportedError) Unwrap() error { return e.Field }

// quoted puts what a client sent into a message, bounded.
func quoted(text string) string {
	const most = 40
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	return fmt.Sprintf("%q", text)
}

// optional makes a text that is sent as null when it is empty.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func valueOr[T any](value *T, otherwise T) T {
	if value == nil {
		return otherwise
	}
	return *value
}
