package api

import (
	"strconv"

	"hermes/worker/openai"
)

// responseItem is an item of a response's output. Texts are kept as the inside
// of a JSON string, the way they come and go.
type responseItem struct {
	kind   string // openai.ItemMessage, …
	index  int    // in the output
	id     string
	status string
	// begun says that its first part is there.
	begun bool
	// text is what a message or reasoning says, or what a tool gave back.
	text []byte

	callID    string
	name      string
	arguments string
	quoted    []byte // the arguments as the inside of a JSON string
	short     []byte // the same, cut
	shortTo   int    // the limit that short was cut to
	// list says that the output is sent as a list of parts.
	list bool
	// ended says that an mcp_call has an output, failed that it is an error.
	ended, failed bool
}

// append appends the item, cut to the bounds.
func (i *responseItem) append(b []byte, limits bounds) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, i.kind...)
	b = append(b, `","id":`...)
	b = appendQuoted(b, i.id)
	b = append(b, `,"status":"`...)
	b = append(b, i.status...)
	b = append(b, `",`...)
	switch i.kind {
	case openai.ItemMessage:
		b = append(b, `"role":"assistant","content":[`...)
		b = i.appendPart(b, limits)
		b = append(b, `]}`...)
	case openai.ItemReasoning:
		b = append(b, `"summary":[],"content":[`...)
		b = i.appendPart(b, limits)
		b = append(b, `]}`...)
	case openai.ItemFunctionCall:
		b = append(b, `"call_id":`...)
		b = appendQuoted(b, i.callID)
		b = i.appendCall(b, limits)
		b = append(b, '}')
	case openai.ItemFunctionOutput:
		b = append(b, `"call_id":`...)
		b = appendQuoted(b, i.callID)
		b = append(b, `,"output":`...)
		if i.list {
			b = append(b, `[{"type":"input_text","text":`...)
			b = i.appendOutput(b, limits)
			b = append(b, `}]}`...)
		} else {
			b = i.appendOutput(b, limits)
			b = append(b, '}')
		}
	case openai.ItemMCPCall:
		b = append(b, `"server_label":"`+serverLabel+`"`...)
		b = i.appendCall(b, limits)
		b = append(b, `,"output":`...)
		if i.ended && !i.failed {
			b = i.appendOutput(b, limits)
		} else {
			b = append(b, "null"...)
		}
		b = append(b, `,"error":`...)
		if i.ended && i.failed {
			b = append(b, `{"type":"mcp_tool_execution_error","content":[{"type":"text","text":`...)
			b = i.appendOutput(b, limits)
			b = append(b, `}]}`...)
		} else {
			b = append(b, "null"...)
		}
		b = append(b, `,"approval_request_id":null}`...)
	}
	return b
}

// appendPart appends the one part of a message or of reasoning, if it has begun.
func (i *responseItem) appendPart(b []byte, limits bounds) []byte {
	if !i.begun {
		return b
	}
	if i.kind == openai.ItemReasoning {
		b = append(b, `{"type":"reasoning_text","text":"`...)
		b = appendBounded(b, i.text, limits.thought)
		return append(b, `"}`...)
	}
	b = append(b, `{"type":"output_text","text":"`...)
	b = append(b, i.text...)
	return append(b, `","annotations":[],"logprobs":[]}`...)
}

// appendCall appends the name and arguments of a call.
func (i *responseItem) appendCall(b []byte, limits bounds) []byte {
	b = append(b, `,"name":`...)
	b = appendQuoted(b, i.name)
	b = append(b, `,"arguments":"`...)
	if i.begun {
		b = append(b, i.shownArguments(limits.tool)...)
	}
	return append(b, '"')
}

func (i *responseItem) appendOutput(b []byte, limits bounds) []byte {
	b = append(b, '"')
	b = appendBounded(b, i.text, limits.tool)
	return append(b, '"')
}

// newItem appends an item to the output.
func (e *responseEncoder) newItem(kind, id string) *responseItem {
	item := &responseItem{kind: kind, index: len(e.items), id: id, status: openai.StatusInProgress}
	e.items = append(e.items, item)
	e.outline.item()
	return item
}

// newID makes the id of an item.
func (e *responseEncoder) newID(kind string) string {
	prefix := openai.PrefixMessage
	switch kind {
	case openai.ItemReasoning:
		prefix = openai.PrefixReasoning
	case openai.ItemFunctionCall:
		prefix = openai.PrefixFunctionCall
	case openai.ItemFunctionOutput:
		prefix = openai.PrefixFunctionOutput
	case openai.ItemMCPCall:
		prefix = openai.PrefixMCPCall
	}
	return prefix + e.opts.newID()
}

// take makes sure that text goes into an item of the kind.
func (e *responseEncoder) take(kind string) {
	if e.open == nil || e.open.kind != kind {
		e.settle(openai.StatusCompleted)
		e.openText(kind, e.newID(kind))
	}
}

// openText begins a message or reasoning, and its only part.
func (e *responseEncoder) openText(kind, id string) {
	item := e.newItem(kind, id)
	e.itemEvent(openai.EventItemAdded, item)
	item.begun = true
	e.partEvent(openai.EventPartAdded, item)
	e.open, e.sent = item, 0
	delta := openai.EventTextDelta
	if kind == openai.ItemReasoning {
		delta = openai.EventReasoningDelta
	}
	// The frame is made where events are made, and taken out again.
	from := len(e.buf)
	e.beginEvent(delta)
	e.about(item)
	e.buf = append(e.buf, `,"content_index":0,"delta":"`...)
	e.frame = append(e.frame[:0], e.buf[from:]...)
	e.buf = e.buf[:from]
}

// settle closes the message or reasoning that is open.
func (e *responseEncoder) settle(status string) {
	item := e.open
	if item == nil {
		return
	}
	e.deltas(item.text[e.sent:])
	e.open = nil
	kind, end := openai.EventTextDone, `","logprobs":[]`
	if item.kind == openai.ItemReasoning {
		kind, end = openai.EventReasoningDone, `"`
	}
	e.beginEvent(kind)
	e.about(item)
	e.buf = append(e.buf, `,"content_index":0,"text":"`...)
	e.buf = append(e.buf, item.text...)
	e.buf = append(e.buf, end...)
	e.endEvent()
	e.partEvent(openai.EventPartDone, item)
	item.status = status
	e.itemEvent(openai.EventItemDone, item)
}

// add adds to the text of the open item and sends what is due of it.
func (e *responseEncoder) add(inner []byte) {
	e.open.text = append(e.open.text, inner...)
	if !e.opts.whole {
		e.sent = len(e.open.text)
		e.deltas(inner)
	}
}

// deltas sends text of the open item, in more than one event if it is long.
func (e *responseEncoder) deltas(inner []byte) {
	for len(inner) > 0 {
		n := len(inner)
		if n > maxPiece {
			n = cut(inner, maxPiece)
		}
		e.mark = len(e.buf)
		e.buf = append(e.buf, e.frame...)
		e.buf = append(e.buf, inner[:n]...)
		if e.open.kind == openai.ItemMessage {
			e.buf = append(e.buf, `","logprobs":[]`...)
		} else {
			e.buf = append(e.buf, '"')
		}
		e.endEvent()
		e.outline.delta(inner[:n])
		inner = inner[n:]
	}
}

// itemEvent appends an event that holds an item.
func (e *responseEncoder) itemEvent(kind string, item *responseItem) {
	e.beginEvent(kind)
	e.buf = append(e.buf, `,"output_index":`...)
	e.buf = strconv.AppendInt(e.buf, int64(item.index), 10)
	e.buf = append(e.buf, `,"item":`...)
	e.buf = item.append(e.buf, shown())
	e.endEvent()
}

// partEvent appends an event that holds a part.
func (e *responseEncoder) partEvent(kind string, item *responseItem) {
	e.beginEvent(kind)
	e.about(item)
	e.buf = append(e.buf, `,"content_index":0,"part":`...)
	e.buf = item.appendPart(e.buf, bounds{})
	e.endEvent()
}

// stateEvent appends an event that only says how an item goes on.
func (e *responseEncoder) stateEvent(kind string, item *responseItem) {
	e.beginEvent(kind)
	e.about(item)
	e.endEvent()
}

// about appends what names an item.
func (e *responseEncoder) about(item *responseItem) {
	e.buf = append(e.buf, `,"item_id":`...)
	e.buf = appendQuoted(e.buf, item.id)
	e.buf = append(e.buf, `,"output_index":`...)
	e.buf = strconv.AppendInt(e.buf, int64(item.index), 10)
}
