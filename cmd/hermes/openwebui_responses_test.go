package main_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// responsesRequest makes a request for a response of one for a completion, as
// Open WebUI does for connections of that type: the whole chat as items.
func responsesRequest(t *testing.T, body object) object {
	t.Helper()
	made := maps.Clone(body)
	for _, name := range []string{"messages", "stream_options"} {
		delete(made, name)
	}
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		if limit, ok := made[name]; ok {
			delete(made, name)
			made["max_output_tokens"] = limit
		}
	}
	var input []object
	messages, _ := body["messages"].([]object)
	for _, message := range messages {
		if output, ok := message["output"].([]object); ok {
			input = append(input, storedItems(output)...)
		} else if message["role"] == "system" {
			made["instructions"] = message["content"]
		} else {
			input = append(input, inputItems(message)...)
		}
	}
	made["input"] = input
	if tools, _ := body["tools"].([]object); len(tools) > 0 {
		var flat []object
		for _, tool := range tools {
			function, _ := tool["function"].(object)
			function = maps.Clone(function)
			function["type"] = tool["type"]
			flat = append(flat, function)
		}
		made["tools"] = flat
	}
	return made
}

// storedItems are items as they are sent back: of those that it knows, Open WebUI
// sends these keys only, all others as they are.
func storedItems(output []object) []object {
	keys := map[any][]string{
		"message":              {"type", "role", "content"},
		"function_call":        {"type", "call_id", "name", "arguments", "id"},
		"function_call_output": {"type", "call_id", "output"},
	}
	var items []object
	for _, item := range output {
		item = maps.Clone(item)
		maps.DeleteFunc(item, func(key string, _ any) bool {
			return keys[item["type"]] != nil && !slices.Contains(keys[item["type"]], key)
		})
		items = append(items, item)
	}
	return items
}

// inputItems are the items of a message.
func inputItems(message object) []object {
	role, _ := message["role"].(string)
	text, plain := message["content"].(string)
	calls, _ := message["tool_calls"].([]object)
	switch {
	case role == "tool":
		return []object{{"type": "function_call_output", "call_id": message["tool_call_id"], "output": text}}
	case len(calls) > 0:
		var items []object
		if strings.TrimSpace(text) != "" {
			items = append(items, textInput(role, "output_text", text))
		}
		for _, call := range calls {
			function, _ := call["function"].(object)
			items = append(items, object{"type": "function_call", "call_id": call["id"], "name": function["name"], "arguments": function["arguments"]})
		}
		return items
	case role == "assistant":
		return []object{textInput(role, "output_text", text)}
	case plain:
		return []object{textInput(role, "input_text", text)}
	}
	var content []object
	parts, _ := message["content"].([]object)
	for _, part := range parts {
		switch image, _ := part["image_url"].(object); {
		case image != nil:
			content = append(content, object{"type": "input_image", "image_url": image["url"]})
		default:
			content = append(content, object{"type": "input_text", "text": part["text"]})
		}
	}
	return []object{{"type": "message", "role": role, "content": content}}
}

func textInput(role, kind, text string) object {
	return object{"type": "message", "role": role, "content": []object{{"type": kind, "text": text}}}
}

// response takes in an event of the Responses API. The items of the answer are
// made of what is added and of deltas; at the end those of the whole response
// take their place. Ends of items are passed over, and so are responses that are
// incomplete, and events of the type error, which no name of this API begins with.
func (s *streamReader) response(kind string, event object) {
	index := s.prior + len(s.message.output[s.prior:]) - 1
	if at, ok := event["output_index"].(float64); ok {
		index = s.prior + int(at)
	}
	switch {
	case kind == "response.output_item.added":
		item, _ := event["item"].(object)
		if item == nil || index != len(s.message.output) {
			s.t.Errorf("item %d comes as number %d: %v", index-s.prior, len(s.message.output)-s.prior, event)
			return
		}
		s.message.output = append(s.message.output, maps.Clone(item))
	case kind == "response.completed", kind == "response.incomplete", kind == "response.failed":
		whole, _ := event["response"].(object)
		s.end(kind, whole)
	case kind == "response.output_item.done":
	case index < s.prior || index >= len(s.message.output):
		if event["output_index"] != nil {
			s.t.Errorf("an event about an item that there is not: %v", event)
		}
	default:
		s.change(kind, event, s.message.output[index])
	}
}

// change takes in an event about a part or a delta of an item.
func (s *streamReader) change(kind string, event, item object) {
	name := strings.TrimPrefix(kind, "response.")
	content, _ := item["content"].([]any)
	delta, _ := event["delta"].(string)
	if delta != "" && strings.HasSuffix(name, ".delta") {
		s.doneAt = time.Time{}
	}
	switch {
	case name == "content_part.added" && item["type"] == "message":
		if part, _ := event["part"].(object); part != nil {
			item["content"] = append(slices.Clip(content), maps.Clone(part))
		}
	case name == "output_text.delta" && item["type"] == "message":
		if len(content) == 0 {
			s.t.Errorf("text before its part: %v", event)
			return
		}
		addText(item, delta)
	case name == "output_text.done" && item["type"] == "message":
		if text, ok := event["text"]; ok && text != part(item)["text"] {
			s.t.Errorf("the deltas make %.200q, the end says %.200q", part(item)["text"], text)
		}
	case name == "function_call_arguments.done":
		item["arguments"] = event["arguments"]
	}
}

// end takes in the last event of a response.
func (s *streamReader) end(kind string, whole object) {
	s.doneAt = time.Now()
	switch kind {
	case "response.failed":
		s.show(whole["error"])
		return
	case "response.incomplete":
		return
	}
	if output, ok := whole["output"].([]any); ok { // without one, what was streamed stays
		s.replace(output)
	}
	if usage, _ := whole["usage"].(object); usage != nil {
		s.count(usage)
	}
}

// replace puts the items of a whole response in the place of those that were
// streamed. They are the same, or a person sees the answer change at its end.
func (s *streamReader) replace(output []any) {
	var items []object
	for _, item := range output {
		item, _ := item.(object)
		items = append(items, item)
	}
	streamed := s.message.output[s.prior:]
	sameID := func(a, b object) bool { return a["id"] == b["id"] && a["type"] == b["type"] }
	if !slices.EqualFunc(items, streamed, sameID) {
		s.t.Errorf("the items of the whole response are\n%.1000v\nthose of the stream were\n%.1000v", items, streamed)
	}
	if said := outputText(streamed); said != outputText(items) {
		s.t.Errorf("what is shown changes at the end from %.200q to %.200q", said, outputText(items))
	}
	s.message.output = slices.Concat(s.message.output[:s.prior], items)
}

// checkCalls looks for calls without a result at the end of a stream: Open WebUI
// tries to run those by itself, and asks again with what came of it.
func (s *streamReader) checkCalls() {
	results := map[any]bool{}
	for _, item := range s.message.output {
		if item["type"] == "function_call_output" {
			results[item["call_id"]] = true
			resultText(s.t, item)
		}
	}
	for _, item := range s.message.output {
		if item["type"] == "function_call" && !results[item["call_id"]] {
			s.t.Errorf("Open WebUI tries to run %v by itself", item)
		}
	}
}
