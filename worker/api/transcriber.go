package api

import (
	"fmt"
	"slices"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/openai"
)

// noResult stands in for the result of a call that has none in a client's
// transcript, as happens when somebody stopped an answer half-way. Models refuse
// a transcript with an open call.
const noResult = "There is no result of this call."

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
	if !t.result(message.ToolCallID, text) {
		return invalid(at+".tool_call_id", codeInvalidValue,
			"%s.tool_call_id must be the id of a call in the assistant message before it, and each call takes one result.", at)
	}
	return nil
}

// result takes in what became of a call. It is false when no such call is open. A
// result may come late, behind something else that was said: then it takes the
// place of the one that stood in for it.
func (t *transcriber) result(callID, text string) bool {
	i := slices.Index(t.open, callID)
	if i < 0 {
		for k := range t.history {
			if message := &t.history[k]; message.ToolCallID == callID && message.Text() == noResult {
				message.Parts = []llm.Part{{Text: text}}
				return true
			}
		}
		return false
	}
	t.open = slices.Delete(t.open, i, i+1)
	result := llm.TextMessage(llm.Tool, text)
	result.ToolCallID = callID
	t.history = append(t.history, result)
	return true
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
	detail := part.ImageURL.Detail
	if detail == "" {
		detail = part.Detail
	}
	return imageAt(part.ImageURL.URL, detail, where+".image_url.url", where+".image_url.detail")
}

// imageAt checks an image, whose URL and detail the fields of those names hold.
func imageAt(url, detail, urlField, detailField string) (llm.Part, error) {
	scheme, _, _ := strings.Cut(url, ":")
	isImage := len(url) > len("data:image/") && strings.EqualFold(url[:len("data:image/")], "data:image/")
	if !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") && !isImage {
		return llm.Part{}, invalid(urlField, codeInvalidValue,
			"%s must be an http(s) URL or a data URI of an image (data:image/png;base64,…).", urlField)
	}
	switch detail {
	case "", "low", "high", "auto":
		return llm.Part{ImageURL: url, Detail: detail}, nil
	default:
		return llm.Part{}, invalid(detailField, codeInvalidValue, "%s must be low, high or auto.", detailField)
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
