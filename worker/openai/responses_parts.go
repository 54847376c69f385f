package openai

import (
	"encoding/json"
	"strings"
)

// The types of parts that only items have. See PartText for the others.
const (
	PartReasoningText = "reasoning_text"
	PartSummaryText   = "summary_text"
)

// ItemPart is one piece of an item. Type is PartInputText, PartOutputText,
// PartRefusal, PartInputImage, PartInputFile, PartReasoningText or
// PartSummaryText; other spellings that clients use have become one of these.
type ItemPart struct {
	Type string
	// Text is also the words of a refusal.
	Text string
	// ImageURL is an http(s) URL or a data URI, Detail the resolution hint "",
	// low, high or auto.
	ImageURL string
	Detail   string
	// FileData is a data URI, or bare base64. Filename may be empty.
	FileData string
	Filename string
}

// MarshalJSON writes the keys that belong to the type. Text of a model always
// has its annotations and logprobs, though there are none.
func (p ItemPart) MarshalJSON() ([]byte, error) {
	switch p.Type {
	case PartOutputText:
		return json.Marshal(struct {
			Type        string     `json:"type"`
			Text        string     `json:"text"`
			Annotations []struct{} `json:"annotations"`
			Logprobs    []struct{} `json:"logprobs"`
		}{p.Type, p.Text, []struct{}{}, []struct{}{}})
	case PartRefusal:
		return json.Marshal(struct {
			Type    string `json:"type"`
			Refusal string `json:"refusal"`
		}{p.Type, p.Text})
	case PartInputImage:
		detail := p.Detail
		if detail == "" {
			detail = "auto"
		}
		return json.Marshal(struct {
			Type     string `json:"type"`
			ImageURL string `json:"image_url"`
			Detail   string `json:"detail"`
		}{p.Type, p.ImageURL, detail})
	case PartInputFile:
		return json.Marshal(struct {
			Type     string `json:"type"`
			Filename string `json:"filename,omitempty"`
			FileData string `json:"file_data"`
		}{p.Type, p.Filename, p.FileData})
	default:
		return json.Marshal(struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}{p.Type, p.Text})
	}
}

// PartsText returns the text of all parts, one after the other.
func PartsText(parts []ItemPart) string {
	if len(parts) == 1 {
		return parts[0].Text
	}
	var text strings.Builder
	for _, part := range parts {
		text.WriteString(part.Text)
	}
	return text.String()
}

// ToolOutput is what a function gave back: Parts if it came, or is to be sent,
// as a list, else Text.
type ToolOutput struct {
	Text  string
	Parts []ItemPart
}

// String returns the text.
func (o ToolOutput) String() string {
	if o.Parts != nil {
		return PartsText(o.Parts)
	}
	return o.Text
}

// MarshalJSON writes a list or a string.
func (o ToolOutput) MarshalJSON() ([]byte, error) {
	if o.Parts != nil {
		return json.Marshal(o.Parts)
	}
	return json.Marshal(o.Text)
}

// ToolFailure is what a tool said when it failed. It is sent in the form that
// the public description has for a tool that ran and reported an error.
type ToolFailure struct{ Text string }

type wireFailure struct {
	Type    string     `json:"type"`
	Content []wireText `json:"content"`
}

type wireText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

// MarshalJSON writes an mcp_tool_execution_error.
func (f ToolFailure) MarshalJSON() ([]byte, error) {
	return json.Marshal(wireFailure{"mcp_tool_execution_error", []wireText{{PartText, f.Text}}})
}

// UnmarshalJSON reads any of the public forms of an error: a string, or an
// object with a message or with content. What it does not know it keeps as it
// is written.
func (f *ToolFailure) UnmarshalJSON(data []byte) error {
	var known struct {
		Message string          `json:"message"`
		Content json.RawMessage `json:"content"`
	}
	var content []wireText
	f.Text = scalar(data)
	switch {
	case first(data) != '{' || !fits(data, &known): // nothing known
	case known.Message != "":
		f.Text = known.Message
	case first(known.Content) == '"':
		f.Text = scalar(known.Content)
	case first(known.Content) == '[' && fits(known.Content, &content):
		f.Text = ""
		for _, part := range content {
			f.Text += part.Text
		}
	}
	return nil
}

// fits reads a value if it is of the right type.
func fits(data []byte, into any) bool { return json.Unmarshal(data, into) == nil }
