package anthropic

import (
	"encoding/json"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// task is one request on its way to the model.
type task struct {
	llm.Request
	model, origin string
	traits        traits
	quirks        quirks
	limit         int  // of the answer's tokens, where the request does not say
	plain         bool // thoughts are not sent back
	streaming     bool
}

// encode returns the body of the request.
func (t task) encode() []byte {
	e := upstream.NewEncoder(t.Request)
	e.Raw(`{"model":`).Text(t.model).Raw(`,"max_tokens":`).Int(t.maxTokens())
	t.tools(&e)
	transcript := t.turns()
	if len(transcript.system) > 0 {
		mark(transcript.system)
		e.Raw(`,"system":`)
		e.List(len(transcript.system), func(i int) { e.JSON(transcript.system[i]) })
	}
	transcript.mark()
	e.Raw(`,"messages":`)
	e.List(len(transcript.turns), func(i int) {
		turn := transcript.turns[i]
		e.Raw(`{"role":"` + turn.role + `","content":`)
		e.List(len(turn.blocks), func(i int) { e.JSON(turn.blocks[i]) })
		e.Raw("}")
	})
	t.settings(&e)
	if t.streaming {
		e.Raw(`,"stream":true`)
	}
	return e.Raw("}").B
}

// tools writes the tools, the last of them with a mark of the cache.
func (t task) tools(e *upstream.Encoder) {
	if len(t.Tools) == 0 {
		return
	}
	e.Raw(`,"tools":`)
	e.List(len(t.Tools), func(i int) {
		tool := t.Tools[i]
		e.Raw(`{"name":`).Text(tool.Name).Raw(`,"description":`).Text(tool.Description).Raw(`,"input_schema":`)
		if len(tool.Parameters) == 0 {
			e.Raw(`{"type":"object","properties":{}}`)
		} else {
			e.JSON(tool.Parameters)
		}
		if i == len(t.Tools)-1 {
			e.Raw(cacheMark)
		}
		e.Raw("}")
	})
	switch choice := t.choice(); choice {
	case "":
	case "auto", "none":
		e.Raw(`,"tool_choice":{"type":"` + choice + `"}`)
	case "required":
		e.Raw(`,"tool_choice":{"type":"any"}`)
	default:
		e.Raw(`,"tool_choice":{"type":"tool","name":`).Text(choice).Raw("}")
	}
}

// choice is the tool choice, as far as the model takes it.
func (t task) choice() string {
	if t.forced() && t.quirks&noForcing != 0 {
		return "auto"
	}
	return t.ToolChoice
}

// forced reports whether the model is to call a tool whatever it thinks of it.
func (t task) forced() bool {
	return len(t.Tools) > 0 && t.ToolChoice != "" && t.ToolChoice != "auto" && t.ToolChoice != "none"
}

// format is the schema that the answer is to follow, nil if none, and whether
// there is a format at all.
func (t task) format() (schema json.RawMessage, wanted bool) {
	var format struct {
		Type   string `json:"type"`
		Schema struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"json_schema"`
	}
	if len(t.ResponseFormat) == 0 || json.Unmarshal(t.ResponseFormat, &format) != nil || format.Type == "text" {
		return nil, false
	}
	if upstream.Absent(format.Schema.Schema) {
		return nil, true
	}
	return format.Schema.Schema, true
}

// wishes is what the model is told in words because the API has no field for it,
// or because this model does not take that field.
func (t task) wishes() string {
	var wishes []string
	if t.forced() && t.quirks&noForcing != 0 {
		if t.ToolChoice == "required" {
			wishes = append(wishes, "Answer by calling a tool.")
		} else {
			wishes = append(wishes, "Answer by calling the tool "+t.ToolChoice+".")
		}
	}
	if schema, wanted := t.format(); wanted && !t.formatted() {
		wish := "Answer with one JSON object and nothing else: no introduction, no code fence."
		if schema != nil {
			wish += " It must follow this JSON schema: " + string(schema)
		}
		wishes = append(wishes, wish)
	}
	return strings.Join(wishes, "\n")
}

// formatted reports whether the API itself holds the answer to its schema: see
// https://platform.claude.com/docs/en/build-with-claude/structured-outputs.
func (t task) formatted() bool {
	schema, _ := t.format()
	return schema != nil && t.traits.formats && t.quirks&noFormat == 0
}
