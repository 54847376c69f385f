package api

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

type checkedItem struct {
	added  map[string]any
	kind   string
	deltas strings.Builder
	part   bool           // its part was added
	text   *string        // of the done event of its text or arguments
	closed map[string]any // the done part
	item   map[string]any // the done item
	going  string         // the last event of its state
}

// ownEvents returns the name of the events about an item's text.
func (i *checkedItem) ownEvents() string {
	return map[string]string{
		"message": "response.output_text", "reasoning": "response.reasoning_text",
		"function_call": "response.function_call_arguments", "mcp_call": "response.mcp_call_arguments",
	}[i.kind]
}

func (i *checkedItem) hasPart() bool { return i.kind == "message" || i.kind == "reasoning" }

func (i *checkedItem) partWith(text string) map[string]any {
	if i.kind == "reasoning" {
		return map[string]any{"type": "reasoning_text", "text": text}
	}
	return map[string]any{"type": "output_text", "text": text, "annotations": []any{}, "logprobs": []any{}}
}

func (i *checkedItem) partEvent(event shownEvent) error {
	part := event.data["part"]
	if !i.hasPart() {
		return fmt.Errorf("a %s has no parts", i.kind)
	}
	if event.kind == "response.content_part.added" {
		if i.part || !reflect.DeepEqual(part, any(i.partWith(""))) {
			return fmt.Errorf("the part is %v", part)
		}
		i.part = true
		return nil
	}
	if i.text == nil || i.closed != nil || !reflect.DeepEqual(part, any(i.partWith(*i.text))) {
		return fmt.Errorf("the part is %v", part)
	}
	i.closed = i.partWith(*i.text)
	return nil
}

func (i *checkedItem) delta(event shownEvent) error {
	text, ok := event.data["delta"].(string)
	if !ok || text == "" || event.kind != i.ownEvents()+".delta" || i.text != nil || i.hasPart() && !i.part {
		return fmt.Errorf("delta %q in a %s", text, i.kind)
	}
	i.deltas.WriteString(text)
	return nil
}

func (i *checkedItem) textDone(event shownEvent) error {
	text, ok := event.data["text"].(string)
	if !ok {
		text, ok = event.data["arguments"].(string)
	}
	if !ok || event.kind != i.ownEvents()+".done" || i.text != nil || i.hasPart() && !i.part || text != i.deltas.String() {
		return fmt.Errorf("the text is %q, the deltas made %q", text, i.deltas.String())
	}
	if name, ok := event.data["name"]; ok && name != i.added["name"] {
		return fmt.Errorf("name is %v", name)
	}
	i.text = &text
	return nil
}

func (i *checkedItem) itemDone(event shownEvent) error {
	item, ok := event.data["item"].(map[string]any)
	if !ok || !sameSet(keysIn(item), keysIn(i.added)) {
		return fmt.Errorf("keys of the item are %v", keysIn(item))
	}
	for key, value := range item {
		switch {
		case key == "status", key == "content", key == "arguments", i.kind == "mcp_call" && (key == "output" || key == "error"):
		case !reflect.DeepEqual(value, i.added[key]):
			return fmt.Errorf("%s changes from %v to %v", key, i.added[key], value)
		}
	}
	switch {
	case i.hasPart() && (i.closed == nil || !reflect.DeepEqual(item["content"], any([]any{i.closed}))):
		return fmt.Errorf("content is %v", item["content"])
	case item["arguments"] != nil && (i.text == nil || item["arguments"] != *i.text):
		return fmt.Errorf("arguments are %v", item["arguments"])
	}
	want := []string{"completed", "incomplete"}
	if i.kind == "mcp_call" {
		switch {
		case i.going == "response.mcp_call.completed":
			want = []string{"completed"}
		case item["error"] != nil:
			want = []string{"failed"}
		default:
			want = []string{"incomplete"}
		}
		if (item["output"] != nil) != (item["status"] == "completed") || i.going == "response.mcp_call.in_progress" {
			return fmt.Errorf("after %s it is %v", i.going, item)
		}
	}
	if status, _ := item["status"].(string); !slices.Contains(want, status) {
		return fmt.Errorf("status is %q", status)
	}
	i.item = item
	return nil
}
