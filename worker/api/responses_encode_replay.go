package api

import (
	"fmt"
	"slices"

	"hermes/worker/llm"
	"hermes/worker/openai"
)

// replayResponse makes the stream of a stored response anew, or of one that is
// still running, as far as it has come. It sends the events whose
// sequence_number is above after (-1 for all), piece by piece; what send gets is
// valid until it returns. Of a response that has ended the last piece holds the
// end of the stream.
//
// No log of events is kept anywhere. Of a canonical stream the events are the
// same, with the same numbers, because everything in them follows from the
// response: its settings; the order, ids and statuses of its items; where pieces
// of text end, from the text; what is shown of tools, from their length; that
// it was queued, from background. Status lines of Open WebUI are not made again.
// Of any other stream the items are the same, but text comes in other pieces, so
// that a number from the first stream means nothing in this one.
func replayResponse(response *openai.Response, after int64, send func([]byte) error) error {
	e := newResponseEncoder(responseOptions{response: *response, canonical: true})
	e.after = after
	if err := e.restore(response, send); err != nil || !ended(response.Status) {
		return err
	}
	e.buf = e.buf[:0]
	e.state = response.ResponseState
	e.last()
	return send(e.buf)
}

// resumeResponse makes an encoder that stands where a stored response stands, to
// go on with it or to end it after a crash. Calls without an output are taken
// for running. Of a canonical stream it goes on with the right number.
func resumeResponse(opts responseOptions, response *openai.Response) (*responseEncoder, error) {
	opts.response = *response
	e := newResponseEncoder(opts)
	if err := e.restore(response, func([]byte) error { return nil }); err != nil {
		return nil, err
	}
	if ended(response.Status) {
		e.state, e.over = response.ResponseState, true
	}
	return e, nil
}

func ended(status string) bool {
	return status != openai.StatusQueued && status != openai.StatusInProgress
}

// restore makes the events up to where the response stands.
func (e *responseEncoder) restore(response *openai.Response, send func([]byte) error) error {
	var err error
	emit := func(events []byte) {
		if err == nil && len(events) > 0 {
			err = send(events)
		}
	}
	emit(e.begin())
	if response.Status == openai.StatusQueued {
		return err
	}
	emit(e.start())
	for i := 0; i < len(response.Output) && err == nil; i++ {
		e.buf = e.buf[:0]
		if err = e.replay(response.Output[i]); err == nil {
			emit(e.buf)
		}
	}
	return err
}

// replay makes the events of one item.
func (e *responseEncoder) replay(item openai.Item) error {
	switch item := item.(type) {
	case openai.MessageItem:
		e.replayText(openai.ItemMessage, item.ID, item.Status, item.Content)
	case openai.ReasoningItem:
		e.replayText(openai.ItemReasoning, item.ID, item.Status, item.Content)
	case openai.FunctionCallItem:
		call := llm.ToolCall{ID: item.CallID, Name: item.Name, Arguments: item.Arguments}
		e.functionCall(item.ID, call)
		e.running = append(e.running, &runningCall{call: call, tool: toolOf(call, "", item.Name)})
	case openai.FunctionOutputItem:
		e.running = slices.DeleteFunc(e.running, func(r *runningCall) bool { return r.call.ID == item.CallID })
		again := e.newItem(openai.ItemFunctionOutput, item.ID)
		again.callID, again.list = item.CallID, item.Output.Parts != nil
		again.text = inside(appendQuoted(nil, item.Output.String()))
		e.functionOutput(again, item.Status, nil)
	case openai.MCPCallItem:
		e.replayMCPCall(item)
	case openai.ReferenceItem:
		return fmt.Errorf("replay response: item %s is no output", item.ID)
	}
	return nil
}

func (e *responseEncoder) replayText(kind, id, status string, parts []openai.ItemPart) {
	e.openText(kind, id)
	e.add(inside(appendQuoted(nil, openai.PartsText(parts))))
	if status != openai.StatusInProgress {
		e.settle(status)
	}
}

func (e *responseEncoder) replayMCPCall(item openai.MCPCallItem) {
	call := llm.ToolCall{Name: item.Name, Arguments: item.Arguments}
	again := e.openMCPCall(item.ID, call)
	switch {
	case item.Status == openai.StatusInProgress:
		e.running = append(e.running, &runningCall{call: call, tool: toolOf(call, "", item.Name), item: again})
		return
	case item.Error != nil:
		again.ended, again.failed, again.text = true, true, inside(appendQuoted(nil, item.Error.Text))
	case item.Output != nil:
		again.ended, again.text = true, inside(appendQuoted(nil, *item.Output))
	}
	e.closeMCPCall(again, item.Status, nil)
}
