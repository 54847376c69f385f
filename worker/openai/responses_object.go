package openai

import "encoding/json"

// The values of the object field of the Responses API.
const (
	ObjectResponse = "response"
	ObjectList     = "list"
)

// What a response, and an item of it, can stand at. Items are only ever in
// progress, completed or incomplete; an MCPCallItem can also have failed.
const (
	StatusQueued     = "queued"
	StatusInProgress = "in_progress"
	StatusCompleted  = "completed"
	StatusIncomplete = "incomplete"
	StatusFailed     = "failed"
	StatusCancelled  = "cancelled"
)

// The reasons of IncompleteDetails, and the codes of ResponseError that are of
// use here. The public description lists more codes, nearly all about images,
// and no reason for what was cancelled: without one, clients take such a
// response for an answer that came to its end.
const (
	ReasonMaxOutputTokens = "max_output_tokens"
	ReasonContentFilter   = "content_filter"
	ReasonCancelled       = "cancelled"

	CodeServerError       = "server_error"
	CodeRateLimitExceeded = "rate_limit_exceeded"
	CodeInvalidPrompt     = "invalid_prompt"
)

// The types of TextFormat.
const (
	FormatText       = "text"
	FormatJSONObject = "json_object"
	FormatJSONSchema = "json_schema"
)

// Response is a turn as the Responses API shows it. All its keys are always
// sent, but for user: strict clients ask for them, and null where nothing is
// known. NewResponse makes one with no nil slices, which would be sent as null.
type Response struct {
	ResponseSettings
	ResponseState
}

// ResponseSettings is what stays the same from the first event of a response to
// the last, and for as long as it is stored.
type ResponseSettings struct {
	ID        string `json:"id"`
	Object    string `json:"object"`     // ObjectResponse
	CreatedAt int64  `json:"created_at"` // Unix seconds

	Background bool   `json:"background"`
	Store      bool   `json:"store"`
	Model      string `json:"model"`
	// Instructions is always sent as a string or null. OpenAI also knows an
	// array, Open Responses does not.
	Instructions       *string       `json:"instructions"`
	PreviousResponseID *string       `json:"previous_response_id"`
	Conversation       *Conversation `json:"conversation"`

	MaxOutputTokens  *int             `json:"max_output_tokens"`
	MaxToolCalls     *int             `json:"max_tool_calls"`
	Temperature      float64          `json:"temperature"`
	TopP             float64          `json:"top_p"`
	PresencePenalty  float64          `json:"presence_penalty"`
	FrequencyPenalty float64          `json:"frequency_penalty"`
	TopLogprobs      int              `json:"top_logprobs"`
	Truncation       string           `json:"truncation"` // auto or disabled
	Text             TextConfig       `json:"text"`
	Reasoning        *ReasoningConfig `json:"reasoning"`

	Tools             []ResponsesTool    `json:"tools"`
	ToolChoice        ResponseToolChoice `json:"tool_choice"`
	ParallelToolCalls bool               `json:"parallel_tool_calls"`

	ServiceTier      string   `json:"service_tier"`
	SafetyIdentifier *string  `json:"safety_identifier"`
	PromptCacheKey   *string  `json:"prompt_cache_key"`
	User             string   `json:"user,omitempty"`
	Metadata         Metadata `json:"metadata"`
}

// ResponseState is what changes while a turn runs.
type ResponseState struct {
	Status string `json:"status"`
	// CompletedAt is set only when Status is StatusCompleted. Unix seconds.
	CompletedAt       *int64             `json:"completed_at"`
	Error             *ResponseError     `json:"error"`
	IncompleteDetails *IncompleteDetails `json:"incomplete_details"`
	Output            Items              `json:"output"`
	// Usage is null until the turn has ended.
	Usage *ResponseUsage `json:"usage"`
}

// ResponseError says why a response failed. Code comes from a closed list, see
// CodeServerError. Type repeats it in the way of Error; the AI SDK reads no
// failed response without it.
type ResponseError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Type    string `json:"type"`
}

// IncompleteDetails says why a response ended before the model did. It is set
// when Status is StatusIncomplete or StatusCancelled.
type IncompleteDetails struct {
	Reason string `json:"reason"`
}

// ResponseUsage counts the tokens of a turn. All counts are always sent.
type ResponseUsage struct {
	InputTokens        int                `json:"input_tokens"`
	InputTokenDetails  InputTokenDetails  `json:"input_tokens_details"`
	OutputTokens       int                `json:"output_tokens"`
	OutputTokenDetails OutputTokenDetails `json:"output_tokens_details"`
	TotalTokens        int                `json:"total_tokens"`
}

// InputTokenDetails says how much of the input was read from a cache, and
// written to one.
type InputTokenDetails struct {
	CachedTokens     int `json:"cached_tokens"`
	CacheWriteTokens int `json:"cache_write_tokens"`
}

// OutputTokenDetails says how much of the output was thinking.
type OutputTokenDetails struct {
	ReasoningTokens int `json:"reasoning_tokens"`
}

// TextConfig says how the text of an answer should look.
type TextConfig struct {
	Format    TextFormat `json:"format"`
	Verbosity string     `json:"verbosity,omitempty"`
}

// TextFormat is the shape that the text of an answer should have. The zero
// value is plain text. Name, Description, Schema and Strict belong to
// FormatJSONSchema; Schema may be missing there too, which asks for any object.
type TextFormat struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description *string         `json:"description"`
	Schema      json.RawMessage `json:"schema"`
	Strict      *bool           `json:"strict"`
}

// MarshalJSON writes the keys that belong to the type.
func (f TextFormat) MarshalJSON() ([]byte, error) {
	if f.Type == FormatJSONSchema {
		type plain TextFormat
		return json.Marshal(plain(f))
	}
	if f.Type == "" {
		f.Type = FormatText
	}
	return json.Marshal(typeOnly{f.Type})
}

type typeOnly struct {
	Type string `json:"type"`
}

// ReasoningConfig says how hard a model should think and whether it sums up its
// thoughts. Both keys are always sent.
type ReasoningConfig struct {
	Effort  *string `json:"effort"`
	Summary *string `json:"summary"`
}

// ResponsesTool is a tool that a request offers: a function, as it is without a
// type too, or by its type one of those that a provider runs.
type ResponsesTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description *string         `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      *bool           `json:"strict"`
}

// MarshalJSON writes all keys of a function, and nothing but the type of any
// other tool.
func (t ResponsesTool) MarshalJSON() ([]byte, error) {
	if t.Type == "" {
		t.Type = "function"
	}
	if t.Type != "function" {
		return json.Marshal(typeOnly{t.Type})
	}
	type plain ResponsesTool
	return json.Marshal(plain(t))
}

// ResponseToolChoice is a ToolChoice in the spelling of a Response, which never
// leaves it open: what names neither a mode nor a function is auto.
type ResponseToolChoice ToolChoice

// MarshalJSON writes a mode, or the object that names a function.
func (c ResponseToolChoice) MarshalJSON() ([]byte, error) {
	switch {
	case c.Name != "":
		return json.Marshal(struct {
			Type string `json:"type"`
			Name string `json:"name"`
		}{"function", c.Name})
	case c.Mode == "none", c.Mode == "required":
		return json.Marshal(c.Mode)
	default:
		return []byte(`"auto"`), nil
	}
}

// UnmarshalJSON reads what MarshalJSON writes.
func (c *ResponseToolChoice) UnmarshalJSON(data []byte) error {
	return (*ToolChoice)(c).UnmarshalJSON(data)
}

// DeletedResponse is the answer to DELETE /responses/{id}.
type DeletedResponse struct {
	ID      string `json:"id"`
	Object  string `json:"object"` // ObjectResponse
	Deleted bool   `json:"deleted"`
}

// ItemPage is a part of the answer to GET /responses/{id}/input_items. FirstID
// and LastID are null on an empty page.
type ItemPage struct {
	Object  string  `json:"object"` // ObjectList
	Data    Items   `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// NewItemPage makes a page of items.
func NewItemPage(items Items, more bool) ItemPage {
	page := ItemPage{Object: ObjectList, Data: items, HasMore: more}
	if n := len(items); n > 0 {
		page.FirstID, page.LastID = optional(items[0].ItemID()), optional(items[n-1].ItemID())
	}
	return page
}
