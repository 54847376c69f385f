package openai

import (
	"encoding/json"
	"reflect"
	"strconv"
)

// wireItem has the fields of all kinds of items. Those whose form depends on
// the kind are read in a second step.
type wireItem struct {
	Type              string          `json:"type"`
	ID                string          `json:"id"`
	Status            string          `json:"status"`
	Role              string          `json:"role"`
	Content           json.RawMessage `json:"content"`
	CallID            string          `json:"call_id"`
	Name              string          `json:"name"`
	Arguments         Arguments       `json:"arguments"`
	Output            json.RawMessage `json:"output"`
	Summary           json.RawMessage `json:"summary"`
	EncryptedContent  string          `json:"encrypted_content"`
	ServerLabel       string          `json:"server_label"`
	Error             *ToolFailure    `json:"error"`
	ApprovalRequestID *string         `json:"approval_request_id"`
}

// wirePart has the fields of all kinds of parts.
type wirePart struct {
	Type     string    `json:"type"`
	Text     string    `json:"text"`
	Refusal  string    `json:"refusal"`
	ImageURL *ImageURL `json:"image_url"`
	Detail   string    `json:"detail"`
	FileID   string    `json:"file_id"`
	FileURL  string    `json:"file_url"`
	FileData string    `json:"file_data"`
	Filename string    `json:"filename"`
}

// decodeItems reads an array of items, or a text. Path is the name of the field
// for errors, which are all a *FieldError or an *UnsupportedError.
func decodeItems(data []byte, path string) (Items, error) {
	switch first(data) {
	case 'n', 0:
		return nil, nil
	case '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return nil, &FieldError{Param: path, Message: "is no valid string"}
		}
		return Items{MessageItem{Role: RoleUser, Content: []ItemPart{{Type: PartInputText, Text: text}}}}, nil
	case '[':
	default:
		return nil, &FieldError{Param: path, Message: "must be a string or an array of items, not " + describe(data)}
	}
	var wire []wireItem
	if err := decodeField(data, &wire, path); err != nil {
		return nil, err
	}
	items := make(Items, 0, len(wire))
	for i := range wire {
		item, err := wire[i].item(path + "[" + strconv.Itoa(i) + "]")
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// decodeField reads a value, or finds out which part of it does not fit.
func decodeField(data []byte, into any, path string) error {
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	if at := locate(data, reflect.TypeOf(into).Elem(), path); at != nil {
		return at
	}
	return &FieldError{Param: path, Message: "does not fit: " + err.Error()}
}

// item makes an Item of what was read.
func (w *wireItem) item(path string) (Item, error) {
	switch kind := w.kind(); kind {
	case ItemMessage:
		return w.message(path)
	case ItemFunctionCall:
		if w.Name == "" {
			return nil, &FieldError{Param: path + ".name", Message: "is missing"}
		}
		return FunctionCallItem{ID: w.ID, Status: w.Status, CallID: w.CallID, Name: w.Name, Arguments: string(w.Arguments)}, w.needCallID(path)
	case ItemFunctionOutput:
		output, err := decodeOutput(w.Output, path+".output")
		if err == nil {
			err = w.needCallID(path)
		}
		return FunctionOutputItem{ID: w.ID, Status: w.Status, CallID: w.CallID, Output: output}, err
	case ItemReasoning:
		return w.reasoning(path)
	case ItemMCPCall:
		return w.mcpCall(path)
	case ItemReference:
		if w.ID == "" {
			return nil, &FieldError{Param: path + ".id", Message: "is missing"}
		}
		return ReferenceItem{ID: w.ID}, nil
	case "":
		return nil, &FieldError{Param: path + ".type", Message: "is missing, and there is no role that would make it a message"}
	default:
		return nil, unsupported(path+".type", "is "+quoted(kind)+", which is not supported; send message, function_call, "+
			"function_call_output, reasoning, mcp_call or item_reference")
	}
}

// kind returns the type of an item. Messages and references may leave it out.
func (w *wireItem) kind() string {
	switch {
	case w.Type != "":
		return w.Type
	case w.Role != "":
		return ItemMessage
	case w.ID != "" && w.Content == nil && w.CallID == "":
		return ItemReference
	default:
		return ""
	}
}

func (w *wireItem) needCallID(path string) error {
	if w.CallID == "" {
		return &FieldError{Param: path + ".call_id", Message: "is missing"}
	}
	return nil
}

func (w *wireItem) message(path string) (Item, error) {
	kind := PartInputText
	switch w.Role {
	case RoleAssistant:
		kind = PartOutputText
	case RoleUser, RoleSystem, RoleDeveloper:
	case "":
		return nil, &FieldError{Param: path + ".role", Message: "is missing; it must be user, assistant, system or developer"}
	default:
		return nil, &FieldError{Param: path + ".role", Message: "must be user, assistant, system or developer, not " + quoted(w.Role)}
	}
	message := MessageItem{ID: w.ID, Status: w.Status, Role: w.Role}
	var err error
	switch first(w.Content) {
	case 'n', 0:
		if w.Role != RoleAssistant { // an answer may have been stopped before its first word
			err = &FieldError{Param: path + ".content", Message: "is missing; it must be a string or an array of parts"}
		}
	case '"':
		message.Content = []ItemPart{{Type: kind, Text: scalar(w.Content)}}
	default:
		message.Content, err = decodeParts(w.Content, kind, path+".content")
	}
	return message, err
}

func (w *wireItem) reasoning(path string) (Item, error) {
	item := ReasoningItem{ID: w.ID, Status: w.Status, EncryptedContent: w.EncryptedContent}
	var err error
	if first(w.Summary) != 'n' && first(w.Summary) != 0 {
		if item.Summary, err = decodeParts(w.Summary, PartSummaryText, path+".summary"); err != nil {
			return nil, err
		}
	}
	if first(w.Content) != 'n' && first(w.Content) != 0 {
		item.Content, err = decodeParts(w.Content, PartReasoningText, path+".content")
	}
	return item, err
}

func (w *wireItem) mcpCall(path string) (Item, error) {
	if w.Name == "" {
		return nil, &FieldError{Param: path + ".name", Message: "is missing"}
	}
	item := MCPCallItem{
		ID: w.ID, Status: w.Status, ServerLabel: w.ServerLabel, Name: w.Name, Arguments: string(w.Arguments),
		Error: w.Error, ApprovalRequestID: w.ApprovalRequestID,
	}
	switch first(w.Output) {
	case 'n', 0:
	case '"':
		output := scalar(w.Output)
		item.Output = &output
	default:
		return nil, &FieldError{Param: path + ".output", Message: "must be a string, not " + describe(w.Output)}
	}
	return item, nil
}

// decodeOutput reads what a function gave back.
func decodeOutput(data []byte, path string) (ToolOutput, error) {
	switch first(data) {
	case '"':
		return ToolOutput{Text: scalar(data)}, nil
	case '[':
		parts, err := decodeParts(data, PartInputText, path)
		return ToolOutput{Parts: parts}, err
	case 'n', 0:
		return ToolOutput{}, &FieldError{Param: path, Message: "is missing; it must be a string or an array of parts"}
	default:
		return ToolOutput{}, &FieldError{Param: path, Message: "must be a string or an array of parts, not " + describe(data)}
	}
}

// decodeParts reads parts, whose text becomes of the type that belongs here.
func decodeParts(data []byte, text, path string) ([]ItemPart, error) {
	if first(data) != '[' {
		forms := "a string or an array of parts"
		if text == PartReasoningText || text == PartSummaryText {
			forms = "an array of parts"
		}
		return nil, &FieldError{Param: path, Message: "must be " + forms + ", not " + describe(data)}
	}
	var wire []wirePart
	if err := decodeField(data, &wire, path); err != nil {
		return nil, err
	}
	parts := make([]ItemPart, len(wire))
	for i := range wire {
		var err error
		if parts[i], err = wire[i].part(text, path+"["+strconv.Itoa(i)+"]"); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func (w *wirePart) part(text, path string) (ItemPart, error) {
	switch w.Type {
	case PartText, PartInputText, PartOutputText, PartReasoningText, PartSummaryText:
		return ItemPart{Type: text, Text: w.Text}, nil
	case PartRefusal:
		return ItemPart{Type: PartRefusal, Text: w.Refusal}, nil
	case PartInputImage, PartImageURL:
		return w.image(path)
	case PartInputFile:
		return w.file(path)
	case "":
		return ItemPart{}, &FieldError{Param: path + ".type", Message: "is missing; it must be input_text, input_image or input_file"}
	default:
		return ItemPart{}, unsupported(path+".type", "is "+quoted(w.Type)+", which is not supported; send input_text, input_image or input_file")
	}
}

func (w *wirePart) image(path string) (ItemPart, error) {
	part := ItemPart{Type: PartInputImage, Detail: w.Detail}
	if w.ImageURL != nil {
		part.ImageURL = w.ImageURL.URL
		if part.Detail == "" {
			part.Detail = w.ImageURL.Detail
		}
	}
	switch {
	case part.ImageURL != "":
		return part, nil
	case w.FileID != "":
		return part, unsupported(path+".file_id", "is not supported, as no uploaded files are kept here; send the image itself in image_url")
	default:
		return part, &FieldError{Param: path + ".image_url", Message: "is missing; it must be an http(s) URL or a data URI"}
	}
}

func (w *wirePart) file(path string) (ItemPart, error) {
	switch {
	case w.FileData != "":
		return ItemPart{Type: PartInputFile, FileData: w.FileData, Filename: w.Filename}, nil
	case w.FileID != "":
		return ItemPart{}, unsupported(path+".file_id", "is not supported, as no uploaded files are kept here; send the file itself in file_data")
	case w.FileURL != "":
		return ItemPart{}, unsupported(path+".file_url", "is not supported, as files are not fetched from elsewhere; send the file itself in file_data")
	default:
		return ItemPart{}, &FieldError{Param: path + ".file_data", Message: "is missing; it must be a data URI"}
	}
}

func unsupported(param, message string) error {
	return &UnsupportedError{&FieldError{Param: param, Message: message}}
}
