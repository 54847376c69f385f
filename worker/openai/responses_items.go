package openai

import (
	"encoding/json"
	"slices"
)

// The types of items.
const (
	ItemMessage        = "message"
	ItemFunctionCall   = "function_call"
	ItemFunctionOutput = "function_call_output"
	ItemReasoning      = "reasoning"
	ItemMCPCall        = "mcp_call"
	ItemReference      = "item_reference"
)

// Item is one entry of a request's input or of a response's output. In an
// output each has an id and a status; clients may leave both out.
//
//sumtype:decl
type Item interface {
	// ItemID returns the id, empty if the item has none yet.
	ItemID() string
	item()
}

// MessageItem is what somebody said. Content that a client sent as a string is
// one part of text.
type MessageItem struct {
	ID      string     `json:"id"`
	Status  string     `json:"status"`
	Role    string     `json:"role"`
	Content []ItemPart `json:"content"`
}

// FunctionCallItem is a model's wish to call a function. CallID joins it with
// its FunctionOutputItem.
type FunctionCallItem struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

// FunctionOutputItem is what a function gave back.
type FunctionOutputItem struct {
	ID     string     `json:"id"`
	Status string     `json:"status"`
	CallID string     `json:"call_id"`
	Output ToolOutput `json:"output"`
}

// ReasoningItem is a model's visible thinking: as it was thought in Content,
// summed up in Summary.
type ReasoningItem struct {
	ID      string     `json:"id"`
	Status  string     `json:"status"`
	Summary []ItemPart `json:"summary"`
	Content []ItemPart `json:"content"`
	// EncryptedContent is for the provider that made it.
	EncryptedContent string `json:"encrypted_content,omitempty"`
}

// MCPCallItem is a call that the server has made by itself, with what came of
// it. Output is nil until then, and when the call failed.
type MCPCallItem struct {
	ID                string       `json:"id"`
	Status            string       `json:"status"`
	ServerLabel       string       `json:"server_label"`
	Name              string       `json:"name"`
	Arguments         string       `json:"arguments"`
	Output            *string      `json:"output"`
	Error             *ToolFailure `json:"error"`
	ApprovalRequestID *string      `json:"approval_request_id"`
}

// ReferenceItem stands for an item of a stored response. It is met in requests
// only.
type ReferenceItem struct {
	ID string `json:"id"`
}

// ItemID returns the id.
func (i MessageItem) ItemID() string { return i.ID }

// ItemID returns the id.
func (i FunctionCallItem) ItemID() string { return i.ID }

// ItemID returns the id.
func (i FunctionOutputItem) ItemID() string { return i.ID }

// ItemID returns the id.
func (i ReasoningItem) ItemID() string { return i.ID }

// ItemID returns the id.
func (i MCPCallItem) ItemID() string { return i.ID }

// ItemID returns the id of the item that is meant.
func (i ReferenceItem) ItemID() string { return i.ID }

func (MessageItem) item()        {}
func (FunctionCallItem) item()   {}
func (FunctionOutputItem) item() {}
func (ReasoningItem) item()      {}
func (MCPCallItem) item()        {}
func (ReferenceItem) item()      {}

// MarshalJSON writes the item with its type.
func (i MessageItem) MarshalJSON() ([]byte, error) {
	type plain MessageItem
	i.Content = notNil(i.Content)
	return json.Marshal(struct {
		Type string `json:"type"`
		plain
	}{ItemMessage, plain(i)})
}

// MarshalJSON writes the item with its type.
func (i FunctionCallItem) MarshalJSON() ([]byte, error) {
	type plain FunctionCallItem
	return json.Marshal(struct {
		Type string `json:"type"`
		plain
	}{ItemFunctionCall, plain(i)})
}

// MarshalJSON writes the item with its type.
func (i FunctionOutputItem) MarshalJSON() ([]byte, error) {
	type plain FunctionOutputItem
	return json.Marshal(struct {
		Type string `json:"type"`
		plain
	}{ItemFunctionOutput, plain(i)})
}

// MarshalJSON writes the item with its type.
func (i ReasoningItem) MarshalJSON() ([]byte, error) {
	type plain ReasoningItem
	i.Summary, i.Content = notNil(i.Summary), notNil(i.Content)
	return json.Marshal(struct {
		Type string `json:"type"`
		plain
	}{ItemReasoning, plain(i)})
}

// MarshalJSON writes the item with its type.
func (i MCPCallItem) MarshalJSON() ([]byte, error) {
	type plain MCPCallItem
	return json.Marshal(struct {
		Type string `json:"type"`
		plain
	}{ItemMCPCall, plain(i)})
}

// MarshalJSON writes the item with its type.
func (i ReferenceItem) MarshalJSON() ([]byte, error) {
	type plain ReferenceItem
	return json.Marshal(struct {
		Type string `json:"type"`
		plain
	}{ItemReference, plain(i)})
}

// Items is the input of a request or the output of a response. It is sent as an
// array, never as null.
type Items []Item

// MarshalJSON writes an array.
func (s Items) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]Item(s))
}

// UnmarshalJSON reads an array of items, or a text, which is one message of the
// user. Its errors are of the type that DecodeResponsesRequest returns.
func (s *Items) UnmarshalJSON(data []byte) error {
	items, err := decodeItems(data, "")
	*s = items
	return err
}

// Identify returns the items with an id and a status for each that has none.
// NewID returns what follows the prefix of an id.
func (s Items) Identify(newID func() string) Items {
	named := slices.Clone(s)
	fill := func(id, status *string, prefix string) {
		if *id == "" {
			*id = prefix + newID()
		}
		if *status == "" {
			*status = StatusCompleted
		}
	}
	for n, item := range named {
		switch item := item.(type) {
		case MessageItem:
			fill(&item.ID, &item.Status, PrefixMessage)
			named[n] = item
		case FunctionCallItem:
			fill(&item.ID, &item.Status, PrefixFunctionCall)
			named[n] = item
		case FunctionOutputItem:
			fill(&item.ID, &item.Status, PrefixFunctionOutput)
			named[n] = item
		case ReasoningItem:
			fill(&item.ID, &item.Status, PrefixReasoning)
			named[n] = item
		case MCPCallItem:
			fill(&item.ID, &item.Status, PrefixMCPCall)
			named[n] = item
		case ReferenceItem: // it has the id of another
		}
	}
	return named
}

// The prefixes of ids.
const (
	PrefixResponse       = "resp_"
	PrefixMessage        = "msg_"
	PrefixFunctionCall   = "fc_"
	PrefixFunctionOutput = "fco_"
	PrefixReasoning      = "rs_"
	PrefixMCPCall        = "mcp_"
)

func notNil(parts []ItemPart) []ItemPart {
	if parts == nil {
		return []ItemPart{}
	}
	return parts
}
