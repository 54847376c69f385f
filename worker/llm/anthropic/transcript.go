package anthropic

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// cacheMark ends a block up to which the request may be cached:
// https://platform.claude.com/docs/en/build-with-claude/prompt-caching. A request
// may have four: the tools, the system prompt and the last two turns of the user
// get one, so that a turn with more results than the cache looks back (20 blocks)
// still finds what the one before has left.
const cacheMark = `,"cache_control":{"type":"ephemeral"}`

// What stands where the API wants something and the transcript has nothing.
const (
	emptyText   = "(empty message)"
	beginning   = "(The beginning of this conversation is missing.)"
	noResult    = "(no result)"
	strayResult = "Result of a tool call that is not shown: "
)

// extraLayout is the key in Extras of what an answer was made of: a list of its
// thinking blocks, verbatim, with one of the two words below for each text and
// each tool call in between.
const (
	extraLayout = "anthropic_content"
	layoutText  = `"text"`
	layoutTool  = `"tool_use"`
)

// block is the JSON of one content block.
type block = json.RawMessage

// turn is a message as the API has them: those of one role in a row are one.
type turn struct {
	role   string
	blocks []block
}

// transcript is what becomes of a request's messages.
type transcript struct {
	system []block
	turns  []turn
	open   []string // calls of the last turn that have no result yet
}

// turns makes the transcript.
func (t task) turns() transcript {
	var out transcript
	for _, m := range t.Messages {
		switch m.Role {
		case llm.System:
			if text := m.Text(); strings.TrimSpace(text) != "" {
				out.system = append(out.system, textBlock(text))
			}
		case llm.Assistant:
			out.answer(t, m)
		case llm.Tool:
			out.result(m)
		case llm.User:
			out.settle()
			out.add("user", userBlocks(m)...)
		}
	}
	out.settle()
	if wishes := t.wishes(); wishes != "" {
		out.add("user", textBlock(wishes))
	}
	if len(out.turns) == 0 || out.turns[0].role != "user" {
		out.turns = slices.Insert(out.turns, 0, turn{"user", []block{textBlock(beginning)}})
	}
	return out
}

func (t *transcript) add(role string, blocks ...block) {
	if len(blocks) == 0 {
		return
	}
	if last := len(t.turns) - 1; last >= 0 && t.turns[last].role == role {
		t.turns[last].blocks = append(t.turns[last].blocks, blocks...)
		return
	}
	t.turns = append(t.turns, turn{role, blocks})
}

// settle gives a result to each call that has none: the API refuses a call
// without, and it wants results before anything else that the user says.
func (t *transcript) settle() {
	for _, id := range t.open {
		t.add("user", resultBlock(id, []block{textBlock(noResult)}))
	}
	t.open = nil
}

// result adds the result of a tool.
func (t *transcript) result(m llm.Message) {
	blocks := contentBlocks(m.Parts)
	i := slices.Index(t.open, m.ToolCallID)
	if i < 0 {
		t.settle()
		t.add("user", textBlock(strayResult+m.Text()))
		return
	}
	t.open = slices.Delete(t.open, i, i+1)
	t.add("user", resultBlock(m.ToolCallID, blocks))
}

// answer adds a message of the model.
func (t *transcript) answer(task task, m llm.Message) {
	t.settle()
	blocks, ok := task.replay(m)
	if !ok {
		for _, p := range m.Parts {
			if strings.TrimSpace(p.Text) != "" {
				blocks = append(blocks, textBlock(p.Text))
			}
		}
		for _, call := range m.ToolCalls {
			blocks = append(blocks, callBlock(call))
		}
	}
	t.add("assistant", blocks...)
	for _, call := range m.ToolCalls {
		t.open = append(t.open, call.ID)
	}
}

// replay puts an answer together as the model gave it, thoughts and all. It
// fails when the answer is another model's, or has been changed since: thoughts
// do not fit then, and are left out.
func (t task) replay(m llm.Message) ([]block, bool) {
	var layout []json.RawMessage
	if t.plain || m.Origin != t.origin || json.Unmarshal(m.Extras[extraLayout], &layout) != nil {
		return nil, false
	}
	var blocks []block
	texts, calls := m.Parts, m.ToolCalls
	for _, element := range layout {
		switch {
		case string(element) == layoutText:
			if len(texts) == 0 {
				return nil, false
			}
			if strings.TrimSpace(texts[0].Text) != "" {
				blocks = append(blocks, textBlock(texts[0].Text))
			}
			texts = texts[1:]
		case string(element) == layoutTool:
			if len(calls) == 0 {
				return nil, false
			}
			blocks = append(blocks, callBlock(calls[0]))
			calls = calls[1:]
		case len(element) > 0 && element[0] == '{':
			blocks = append(blocks, element)
		}
	}
	return blocks, len(texts) == 0 && len(calls) == 0
}

// mark sets the marks of the cache on the last two turns of the user.
func (t *transcript) mark() {
	marks := 2
	for i := len(t.turns) - 1; i >= 0 && marks > 0; i-- {
		if t.turns[i].role == "user" {
			mark(t.turns[i].blocks)
			marks--
		}
	}
}

// mark sets a mark of the cache on the last of the blocks.
func mark(blocks []block) {
	last := blocks[len(blocks)-1]
	blocks[len(blocks)-1] = append(append(last[:len(last)-1:len(last)-1], cacheMark...), '}')
}

// userBlocks are the blocks of what a user says.
func userBlocks(m llm.Message) []block {
	if blocks := contentBlocks(m.Parts); len(blocks) > 0 {
		return blocks
	}
	return []block{textBlock(emptyText)}
}

// contentBlocks are the blocks of texts and images. The API refuses texts of
// nothing but white space.
func contentBlocks(parts []llm.Part) []block {
	var blocks []block
	for _, p := range parts {
		switch {
		case p.ImageURL != "":
			blocks = append(blocks, imageBlock(p.ImageURL))
		case strings.TrimSpace(p.Text) != "":
			blocks = append(blocks, textBlock(p.Text))
		}
	}
	return blocks
}

func textBlock(text string) block {
	var e upstream.Encoder
	return e.Raw(`{"type":"text","text":`).Text(text).Raw("}").B
}

// imageBlock makes the block of an image, which is given by its address or, in a
// data URI, by its bytes: https://platform.claude.com/docs/en/build-with-claude/vision.
func imageBlock(address string) block {
	var e upstream.Encoder
	media, data, ok := dataURI(address)
	if !ok {
		return e.Raw(`{"type":"image","source":{"type":"url","url":`).Text(address).Raw("}}").B
	}
	e.B = make([]byte, 0, len(data)+128)
	return e.Raw(`{"type":"image","source":{"type":"base64","media_type":`).Text(media).Raw(`,"data":`).Text(data).Raw("}}").B
}

// dataURI takes a data URI apart, into the type of its content and that content
// in base64.
func dataURI(address string) (media, data string, ok bool) {
	if len(address) < 5 || !strings.EqualFold(address[:5], "data:") {
		return "", "", false
	}
	head, data, ok := strings.Cut(address[5:], ",")
	if !ok {
		return "", "", false
	}
	media, _, _ = strings.Cut(head, ";")
	if !strings.HasSuffix(strings.ToLower(head), ";base64") {
		plain, err := url.PathUnescape(data)
		if err != nil {
			return "", "", false
		}
		data = base64.StdEncoding.EncodeToString([]byte(plain))
	}
	return strings.ToLower(media), data, true
}

// callBlock makes the block of a tool call.
func callBlock(call llm.ToolCall) block {
	var e upstream.Encoder
	e.Raw(`{"type":"tool_use","id":`).Text(call.ID).Raw(`,"name":`).Text(upstream.ToolName(call.Name)).Raw(`,"input":`)
	return e.Raw(upstream.Arguments(call.Arguments)).Raw("}").B
}

func resultBlock(id string, content []block) block {
	var e upstream.Encoder
	e.Raw(`{"type":"tool_result","tool_use_id":`).Text(id)
	if len(content) > 0 {
		e.Raw(`,"content":`)
		e.List(len(content), func(i int) { e.JSON(content[i]) })
	}
	return e.Raw("}").B
}
