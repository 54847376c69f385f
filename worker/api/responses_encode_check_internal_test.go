package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"hermes/worker/openai"
)

// shownEvent is an event of a stream as a client reads it.
type shownEvent struct {
	kind string
	line int // its length in bytes
	data map[string]any
}

// readEvents reads a stream event by event. It fails on anything but lines of
// event and data, and on a type that is not the event's name.
func readEvents(stream string) (events []shownEvent, done bool, err error) {
	for block := range strings.SplitAfterSeq(stream, "\n\n") {
		switch {
		case block == "":
			continue
		case done:
			return nil, false, fmt.Errorf("something follows the end: %.100q", block)
		case block == "data: [DONE]\n\n":
			done = true
			continue
		}
		name, data, ok := strings.Cut(strings.TrimSuffix(block, "\n\n"), "\n")
		kind, isEvent := strings.CutPrefix(name, "event: ")
		data, isData := strings.CutPrefix(data, "data: ")
		if !ok || !isEvent || !isData || !strings.HasSuffix(block, "\n\n") || strings.ContainsAny(data, "\r\n") {
			return nil, false, fmt.Errorf("not an event: %.200q", block)
		}
		event := shownEvent{kind: kind, line: len(data)}
		if err := json.Unmarshal([]byte(data), &event.data); err != nil {
			return nil, false, fmt.Errorf("%w in %.200q", err, block)
		}
		if event.data["type"] != kind {
			return nil, false, fmt.Errorf("event %s is of type %v", kind, event.data["type"])
		}
		events = append(events, event)
	}
	return events, done, nil
}

// keysOf returns the keys that an event of the type must have, no more and no
// less, beside type and sequence_number.
func keysOf(kind string) []string {
	switch kind {
	case "response.created", "response.queued", "response.in_progress", "response.completed", "response.failed", "response.incomplete":
		return []string{"response"}
	case "error":
		return []string{"code", "message", "param", "error"}
	case "response.output_item.added", "response.output_item.done":
		return []string{"output_index", "item"}
	case "response.content_part.added", "response.content_part.done":
		return []string{"item_id", "output_index", "content_index", "part"}
	case "response.output_text.delta":
		return []string{"item_id", "output_index", "content_index", "delta", "logprobs"}
	case "response.output_text.done":
		return []string{"item_id", "output_index", "content_index", "text", "logprobs"}
	case "response.reasoning_text.delta":
		return []string{"item_id", "output_index", "content_index", "delta"}
	case "response.reasoning_text.done":
		return []string{"item_id", "output_index", "content_index", "text"}
	case "response.function_call_arguments.delta", "response.mcp_call_arguments.delta":
		return []string{"item_id", "output_index", "delta"}
	case "response.function_call_arguments.done":
		return []string{"item_id", "output_index", "name", "arguments"}
	case "response.mcp_call_arguments.done":
		return []string{"item_id", "output_index", "arguments"}
	case "response.mcp_call.in_progress", "response.mcp_call.completed", "response.mcp_call.failed":
		return []string{"item_id", "output_index"}
	default:
		return nil
	}
}

// streamChecker holds a stream against the rules of the public specification,
// and against what strict clients add to them. It knows nothing of the encoder.
type streamChecker struct {
	items    []*checkedItem
	ids      map[string]bool
	id       any // of the response
	statuses int
	done     bool // of the last status line
	fault    map[string]any
	final    map[string]any
}

// checkResponseStream returns the response that a whole stream ends with. Cut
// says that its tools may be cut further than in their own events.
func checkResponseStream(stream string, cut bool) (map[string]any, error) {
	events, done, err := readEvents(stream)
	if err != nil {
		return nil, err
	}
	c := &streamChecker{ids: map[string]bool{}, done: true}
	for i, event := range events {
		if err := c.check(i, event, cut); err != nil {
			return nil, fmt.Errorf("event %d, %s: %w", i, event.kind, err)
		}
	}
	switch {
	case c.final == nil:
		return nil, fmt.Errorf("the stream ends without a last event")
	case !done:
		return nil, fmt.Errorf("the stream ends without [DONE]")
	case !c.done:
		return nil, fmt.Errorf("the last of %d status lines is not done", c.statuses)
	}
	return c.final, nil
}

func (c *streamChecker) check(i int, event shownEvent, cut bool) error {
	if c.final != nil {
		return fmt.Errorf("it follows the last event")
	}
	want := keysOf(event.kind)
	if want == nil {
		return fmt.Errorf("no such type")
	}
	want = append(want, "type", "sequence_number")
	if ride, ok := event.data["event"]; ok {
		want = append(want, "event")
		if err := c.status(event, ride); err != nil {
			return err
		}
	}
	if keys := keysIn(event.data); !sameSet(keys, want) {
		return fmt.Errorf("keys are %v, want %v", keys, want)
	}
	if event.data["sequence_number"] != float64(i) {
		return fmt.Errorf("sequence_number is %v", event.data["sequence_number"])
	}
	if c.fault != nil && event.kind != "response.failed" {
		return fmt.Errorf("it follows an error")
	}
	if response, ok := event.data["response"].(map[string]any); ok {
		return c.lifecycle(i, event, response, cut)
	}
	if i < 2 || i == 2 && c.id == nil {
		return fmt.Errorf("it comes before the response")
	}
	switch event.kind {
	case "error":
		return c.failed(event)
	case "response.output_item.added":
		return c.added(event)
	default:
		return c.inItem(event)
	}
}

// failed takes in the event that libraries raise as an error. It says everything
// twice: they do not agree where.
func (c *streamChecker) failed(event shownEvent) error {
	nested, ok := event.data["error"].(map[string]any)
	if !ok || !sameSet(keysIn(nested), []string{"type", "code", "message", "param"}) {
		return fmt.Errorf("the error is %v", event.data["error"])
	}
	for _, key := range []string{"code", "message", "param"} {
		if nested[key] != event.data[key] {
			return fmt.Errorf("%s is %v and %v", key, event.data[key], nested[key])
		}
	}
	c.fault = nested
	return nil
}

func (c *streamChecker) status(event shownEvent, ride any) error {
	line, ok := ride.(map[string]any)
	data, isData := line["data"].(map[string]any)
	if !ok || !isData || line["type"] != "status" || len(line) != 2 || len(data) != 2 || data["description"] == "" {
		return fmt.Errorf("the status line is %v", ride)
	}
	if !strings.HasPrefix(event.kind, "response.output_item.") {
		return fmt.Errorf("it carries a status line")
	}
	c.statuses++
	c.done, ok = data["done"].(bool)
	if !ok {
		return fmt.Errorf("the status line has no done")
	}
	return nil
}

func (c *streamChecker) lifecycle(i int, event shownEvent, response map[string]any, cut bool) error {
	if len(keysIn(response)) < 32 {
		return fmt.Errorf("the response has only the keys %v", keysIn(response))
	}
	if c.id == nil {
		c.id = response["id"]
	}
	output, ok := response["output"].([]any)
	if !ok || response["id"] != c.id || c.id == "" {
		return fmt.Errorf("id %v, output %v", response["id"], response["output"])
	}
	background := response["background"] == true
	begin := map[string]string{}
	switch {
	case i == 0 && background:
		begin["response.created"] = "queued"
	case i == 0:
		begin["response.created"] = "in_progress"
	case i == 1 && background:
		begin["response.queued"] = "queued"
	case i == 1, i == 2 && background:
		begin["response.in_progress"] = "in_progress"
	default:
		return c.last(event, response, output, cut)
	}
	if status, ok := begin[event.kind]; !ok || response["status"] != status || len(output) != 0 || response["usage"] != nil {
		return fmt.Errorf("status is %v, usage %v, output %v", response["status"], response["usage"], output)
	}
	return nil
}

func (c *streamChecker) last(event shownEvent, response map[string]any, output []any, cut bool) error {
	statuses := map[string][]string{
		"response.completed": {"completed"}, "response.failed": {"failed"}, "response.incomplete": {"incomplete", "cancelled"},
	}
	status, _ := response["status"].(string)
	if !slices.Contains(statuses[event.kind], status) {
		return fmt.Errorf("status is %q", status)
	}
	for _, key := range []struct {
		name string
		set  bool
	}{{"error", status == "failed"}, {"incomplete_details", status == "incomplete" || status == "cancelled"}, {"completed_at", status == "completed"}, {"usage", true}} {
		if (response[key.name] != nil) != key.set {
			return fmt.Errorf("%s is %v", key.name, response[key.name])
		}
	}
	if status == "failed" {
		told, _ := response["error"].(map[string]any)
		if c.fault == nil || told["code"] != c.fault["code"] || told["message"] != c.fault["message"] || told["type"] != c.fault["type"] {
			return fmt.Errorf("error is %v, the event before said %v", told, c.fault)
		}
	}
	if len(output) != len(c.items) {
		return fmt.Errorf("%d items of output, %d were shown", len(output), len(c.items))
	}
	for n, item := range c.items {
		if item.item == nil {
			return fmt.Errorf("item %d is not done", n)
		}
		if status == "completed" && item.item["status"] == "incomplete" {
			return fmt.Errorf("item %d is incomplete in a completed response", n)
		}
		if !cut && !reflect.DeepEqual(output[n], any(item.item)) {
			return fmt.Errorf("item %d is %v, was shown as %v", n, output[n], item.item)
		}
	}
	c.final = response
	return nil
}

func (c *streamChecker) added(event shownEvent) error {
	item, ok := event.data["item"].(map[string]any)
	kind, _ := item["type"].(string)
	id, _ := item["id"].(string)
	// Open WebUI looks at the first event of a call only, so there it is whole.
	whole := kind == "function_call" && item["status"] == "completed"
	if !ok || event.data["output_index"] != float64(len(c.items)) || id == "" || c.ids[id] || item["status"] != "in_progress" && !whole {
		return fmt.Errorf("output_index %v of %d, item %v", event.data["output_index"], len(c.items), item)
	}
	c.ids[id] = true
	keys := map[string][]string{
		"message":              {"role", "content"},
		"reasoning":            {"summary", "content"},
		"function_call":        {"call_id", "name", "arguments"},
		"function_call_output": {"call_id", "output"},
		"mcp_call":             {"server_label", "name", "arguments", "output", "error", "approval_request_id"},
	}[kind]
	if keys == nil || !sameSet(keysIn(item), append(keys, "type", "id", "status")) {
		return fmt.Errorf("the keys of a %s are %v", kind, keysIn(item))
	}
	empty := map[string]any{"content": []any{}, "arguments": "", "error": nil, "approval_request_id": nil, "summary": []any{}}
	for key, value := range empty {
		if got, ok := item[key]; ok && !whole && !reflect.DeepEqual(got, value) {
			return fmt.Errorf("it begins with %s %v", key, got)
		}
	}
	if _, ok := item["call_id"]; ok {
		if call := kind + " " + fmt.Sprint(item["call_id"]); item["call_id"] == "" || c.ids[call] {
			return fmt.Errorf("call_id %v", item["call_id"])
		} else {
			c.ids[call] = true
		}
	}
	for _, other := range c.items { // only calls run beside each other
		if other.item == nil && other.kind != "mcp_call" {
			return fmt.Errorf("a %s is still open", other.kind)
		}
	}
	c.items = append(c.items, &checkedItem{added: item, kind: kind})
	return nil
}

// inItem checks an event about an item.
func (c *streamChecker) inItem(event shownEvent) error {
	index, ok := event.data["output_index"].(float64)
	if !ok || index < 0 || int(index) >= len(c.items) {
		return fmt.Errorf("output_index %v", event.data["output_index"])
	}
	item := c.items[int(index)]
	if item.item != nil {
		return fmt.Errorf("item %v is done already", index)
	}
	if id, ok := event.data["item_id"]; ok && id != item.added["id"] {
		return fmt.Errorf("item_id is %v, want %v", id, item.added["id"])
	}
	if content, ok := event.data["content_index"]; ok && content != float64(0) {
		return fmt.Errorf("content_index is %v", content)
	}
	if logprobs, ok := event.data["logprobs"]; ok && !reflect.DeepEqual(logprobs, []any{}) {
		return fmt.Errorf("logprobs are %v", logprobs)
	}
	switch event.kind {
	case "response.content_part.added", "response.content_part.done":
		return item.partEvent(event)
	case "response.output_text.delta", "response.reasoning_text.delta", "response.function_call_arguments.delta", "response.mcp_call_arguments.delta":
		return item.delta(event)
	case "response.output_text.done", "response.reasoning_text.done", "response.function_call_arguments.done", "response.mcp_call_arguments.done":
		return item.textDone(event)
	case "response.output_item.done":
		return item.itemDone(event)
	default: // response.mcp_call.*
		if item.kind != "mcp_call" || (item.going == "") != (event.kind == "response.mcp_call.in_progress") {
			return fmt.Errorf("a %s after %q", item.kind, item.going)
		}
		item.going = event.kind
		return nil
	}
}

func keysIn(object map[string]any) []string {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func sameSet(a, b []string) bool {
	b = slices.Sorted(slices.Values(b))
	return slices.Equal(a, b)
}

// storedResponse reads what an encoder says is to be stored.
func storedResponse(object []byte) (*openai.Response, error) {
	response := &openai.Response{}
	return response, json.Unmarshal(object, response)
}
