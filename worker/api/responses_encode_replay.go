package api

import (
	"fmt"
	"unicode/utf8"

	"hermes/worker/llm"
	"hermes/worker/openai"
)

// replayResponse makes the stream of a stored response anew, or of one that is
// still running, as far as it has come. It sends the events whose
// sequence_number is above after (-1 for all), piece by piece; what send gets is
// valid until it returns. Of a response that has ended the last piece holds the
// end of the stream.
//
// No log of events is kept anywhere: with the outline of the first stream the
// events are the same, with the same numbers, because everything else in them
// follows from the response. Status lines of Open WebUI are not made again.
// Without an outline, as after a crash, each text is one piece; then, and when the
// process died on the way, the end of the stream is sent whatever number the client
// has.
func replayResponse(response *openai.Response, stored outline, after int64, send func([]byte) error) error {
	r := replay{responseEncoder: newResponseEncoder(responseOptions{response: *response}), output: response.Output}
	r.after = after
	err := r.far(response.Status, stored, send)
	if err != nil || response.Status == openai.StatusQueued || response.Status == openai.StatusInProgress {
		return err
	}
	r.buf = r.buf[:0]
	r.settleText()
	for i := range r.items {
		r.endCall(i)
	}
	if !stored.whole() { // a client may have events that nobody knows any more
		r.sequence = max(r.sequence, after+1)
	}
	r.state = response.ResponseState
	r.last()
	if len(r.buf) == 0 {
		return nil
	}
	return send(r.buf)
}

// far makes the events of the stream as far as the items go.
func (r *replay) far(status string, stored outline, send func([]byte) error) error {
	var err error
	emit := func(events []byte) {
		if err == nil && len(events) > 0 {
			err = send(events)
		}
	}
	emit(r.begin())
	if status == openai.StatusQueued {
		return err
	}
	emit(r.start())
	entries, _ := stored.entries()
	for err == nil {
		r.buf = r.buf[:0]
		kind, n, ok := entries.next()
		if !ok {
			break
		}
		if err = r.step(kind, n); err == nil {
			emit(r.buf)
		}
	}
	for err == nil && r.next < len(r.output) { // what the outline does not know of
		r.buf = r.buf[:0]
		if err = r.item(); err == nil {
			r.text(len(r.rest))
			r.settleText()
			r.endCall(r.next - 1)
			emit(r.buf)
		}
	}
	return err
}

// replay goes through the items of a response that has them all.
type replay struct {
	*responseEncoder
	output openai.Items
	next   int    // the item that begins next
	rest   string // of the open text, which was not sent yet
	status string // with which the open text ends
}

// step makes the events of one entry of the outline.
func (r *replay) step(kind outlineEntry, n int) error {
	switch kind {
	case itemBegins:
		return r.item()
	case callEnds:
		r.settleText()
		r.endCall(n)
	case textSent:
		r.text(n)
	}
	return nil
}

// item begins the next item.
func (r *replay) item() error {
	if r.next == len(r.output) {
		return nil
	}
	r.settleText()
	item := r.output[r.next]
	r.next++
	switch item := item.(type) {
	case openai.MessageItem:
		r.openText(openai.ItemMessage, item.ID)
		r.rest, r.status = openai.PartsText(item.Content), item.Status
	case openai.ReasoningItem:
		r.openText(openai.ItemReasoning, item.ID)
		r.rest, r.status = openai.PartsText(item.Content), item.Status
	case openai.FunctionCallItem:
		r.functionCall(item.ID, llm.ToolCall{ID: item.CallID, Name: item.Name, Arguments: item.Arguments})
	case openai.FunctionOutputItem:
		again := r.newItem(openai.ItemFunctionOutput, item.ID)
		again.callID, again.list = item.CallID, item.Output.Parts != nil
		again.text = inside(appendQuoted(nil, item.Output.String()))
		r.functionOutput(again, item.Status, nil)
	case openai.MCPCallItem:
		r.openMCPCall(item.ID, llm.ToolCall{Name: item.Name, Arguments: item.Arguments})
	case openai.ReferenceItem:
		return fmt.Errorf("replay response: item %s is no output", item.ID)
	}
	return nil
}

// text sends the next bytes of the open text.
func (r *replay) text(n int) {
	if r.open == nil {
		return
	}
	n = min(n, len(r.rest))
	for n < len(r.rest) && !utf8.RuneStart(r.rest[n]) {
		n++
	}
	if n > 0 {
		r.add(inside(appendQuoted(nil, r.rest[:n])))
		r.rest = r.rest[n:]
	}
}

// settleText closes the open text, unless it was open when it was stored.
func (r *replay) settleText() {
	if r.open == nil || r.status == openai.StatusInProgress {
		return
	}
	r.text(len(r.rest))
	r.settle(r.status)
}

// endCall ends an mcp_call that has an end.
func (r *replay) endCall(index int) {
	if index >= r.next {
		return
	}
	item, ok := r.output[index].(openai.MCPCallItem)
	again := r.items[index]
	if !ok || item.Status == openai.StatusInProgress || again.status != openai.StatusInProgress {
		return
	}
	switch {
	case item.Error != nil:
		again.ended, again.failed, again.text = true, true, inside(appendQuoted(nil, item.Error.Text))
	case item.Output != nil:
		again.ended, again.text = true, inside(appendQuoted(nil, *item.Output))
	}
	r.closeMCPCall(again, item.Status, nil)
}
