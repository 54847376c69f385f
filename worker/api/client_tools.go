package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// maxTools is how many tools a client may offer in one request. It is OpenAI's
// limit.
const maxTools = 128

// toolName is what providers take as the name of a tool.
var toolName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
})

// toolOffer is what a request says of the client's own tools, in the words of
// chat completions.
type toolOffer struct {
	tools    []openai.Tool
	choice   openai.ToolChoice
	parallel *bool
	// nested is where the API has the fields of a function: ".function" in chat
	// completions, "" in responses.
	nested string
}

// chatOffer is the offer of a chat request.
func chatOffer(request *openai.ChatRequest) (toolOffer, error) {
	if len(request.Functions) > 0 {
		return toolOffer{}, invalid("functions", codeUnsupported, "functions is the old name of tools, and not supported. Send them as tools: [{\"type\": \"function\", \"function\": {…}}].")
	}
	return toolOffer{tools: request.Tools, choice: request.ToolChoice, parallel: request.ParallelToolCalls, nested: ".function"}, nil
}

// setClientTools puts the tools that a client offers into a turn, or says what is
// wrong with them. Taken reports the names of the agent's own tools.
func setClientTools(turn *agent.Turn, offer toolOffer, taken func(string) bool) error {
	if len(offer.tools) > maxTools {
		return invalid("tools", codeInvalidValue, "tools holds %d tools; at most %d are taken.", len(offer.tools), maxTools)
	}
	var specs []llm.ToolSpec
	for i, tool := range offer.tools {
		spec, err := toolSpec(tool, fmt.Sprintf("tools[%d]", i), offer.nested)
		if err != nil {
			return err
		}
		param := fmt.Sprintf("tools[%d]%s.name", i, offer.nested)
		switch {
		case taken(spec.Name):
			return invalid(param, codeInvalidValue, "%s: %s is the name of one of the agent's own tools. Give the client's tool another name.", param, spec.Name)
		case slices.ContainsFunc(specs, func(other llm.ToolSpec) bool { return other.Name == spec.Name }):
			return invalid(param, codeInvalidValue, "%s: there are two tools named %s. Each needs a name of its own.", param, spec.Name)
		}
		specs = append(specs, spec)
	}
	choice, err := toolChoice(offer.choice, specs)
	if err != nil || choice == choiceNone {
		return err
	}
	turn.ClientTools, turn.ToolChoice = specs, choice
	turn.OneCall = offer.parallel != nil && !*offer.parallel
	return nil
}

// toolSpec checks one tool. The fields of its function are nested in at.
func toolSpec(tool openai.Tool, at, nested string) (llm.ToolSpec, error) {
	function, within := tool.Function, at+nested
	switch {
	case tool.Type != "function" && tool.Type != "":
		return llm.ToolSpec{}, invalid(at+".type", codeUnsupported, "%s.type must be function: other tools are not offered to the model.", at)
	case function.Name == "":
		return llm.ToolSpec{}, invalid(within+".name", codeInvalidValue, "%s.name is missing.", within)
	case !toolName().MatchString(function.Name):
		return llm.ToolSpec{}, invalid(within+".name", codeInvalidValue,
			"%s.name must be 1 to 64 letters, digits, underscores and dashes.", within)
	}
	spec := llm.ToolSpec{Name: function.Name, Description: function.Description}
	switch parameters := bytes.TrimSpace(function.Parameters); {
	case len(parameters) == 0 || string(parameters) == "null":
		spec.Parameters = json.RawMessage(`{"type":"object","properties":{}}`)
	case parameters[0] != '{':
		return llm.ToolSpec{}, invalid(within+".parameters", codeInvalidValue, "%s.parameters must be a JSON schema, which is an object.", within)
	default:
		spec.Parameters = json.RawMessage(parameters)
	}
	return spec, nil
}

// The modes of a tool choice.
const (
	choiceNone     = "none"
	choiceAuto     = "auto"
	choiceRequired = "required"
)

// toolChoice checks which of its tools a client wants called. It returns "",
// none, required or a name. The agent may use its own tools in any case.
func toolChoice(choice openai.ToolChoice, specs []llm.ToolSpec) (string, error) {
	switch {
	case choice.Name != "" && choice.Mode == "function":
		if !slices.ContainsFunc(specs, func(spec llm.ToolSpec) bool { return spec.Name == choice.Name }) {
			return "", invalid("tool_choice", codeInvalidValue, "tool_choice names %s, which is not among the tools of the request.", oneLine(choice.Name))
		}
		return choice.Name, nil
	case choice.Name != "":
	case choice.Mode == choiceNone:
		return choiceNone, nil
	case choice.Mode == "", choice.Mode == choiceAuto:
		return "", nil
	case choice.Mode == choiceRequired && len(specs) == 0:
		return "", invalid("tool_choice", codeInvalidValue, "tool_choice is required, but the request has no tools. The agent chooses among its own by itself.")
	case choice.Mode == choiceRequired:
		return choiceRequired, nil
	}
	return "", invalid("tool_choice", codeUnsupported,
		"tool_choice must be none, auto, required, or the name of one of the request's tools in an object of type function.")
}

// answerCalls are the calls for the client in a JSON answer.
func answerCalls(calls []llm.ToolCall) []openai.ToolCall {
	var out []openai.ToolCall
	for _, call := range calls {
		out = append(out, openai.ToolCall{
			ID: call.ID, Type: "function",
			Function: openai.FunctionCall{Name: call.Name, Arguments: openai.Arguments(call.Arguments)},
		})
	}
	return out
}

// calls appends the chunks that leave calls to the client. Long arguments go on
// in further chunks.
func (e *chatEncoder) calls(calls []llm.ToolCall) {
	for i, call := range calls {
		rest := inside(appendQuoted(nil, call.Arguments))
		e.buf = append(e.buf, e.frame...)
		e.buf = append(e.buf, `{"index":0,"delta":{"tool_calls":[{"index":`...)
		e.buf = strconv.AppendInt(e.buf, int64(i), 10)
		e.buf = append(e.buf, `,"id":`...)
		e.buf = appendQuoted(e.buf, call.ID)
		e.buf = append(e.buf, `,"type":"function","function":{"name":`...)
		e.buf = appendQuoted(e.buf, call.Name)
		e.buf = append(e.buf, `,"arguments":"`...)
		for {
			n := len(rest)
			if n > maxPiece {
				n = cut(rest, maxPiece)
			}
			e.buf = append(e.buf, rest[:n]...)
			e.buf = append(e.buf, `"}}]`...)
			e.buf = append(e.buf, chunkEnd...)
			if rest = rest[n:]; len(rest) == 0 {
				break
			}
			e.buf = append(e.buf, e.frame...)
			e.buf = append(e.buf, `{"index":0,"delta":{"tool_calls":[{"index":`...)
			e.buf = strconv.AppendInt(e.buf, int64(i), 10)
			e.buf = append(e.buf, `,"function":{"arguments":"`...)
		}
	}
}
