package api

import (
	"strconv"
	"time"
	"unicode/utf8"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

const (
	// maxFinal is how long the event that ends a stream may be. It holds the
	// whole output. Open WebUI, which reads with aiohttp, gives the whole answer
	// up when a line is longer than 131,072 bytes.
	maxFinal = 120_000
	// maxInstructions is how many bytes of the instructions are repeated in the
	// events of a stream, of which three hold the whole response.
	maxInstructions = 8 << 10
)

// toolItems says which items of a response show a tool that the server ran.
type toolItems uint8

const (
	// toolPairs is a function_call, and a function_call_output with a string.
	toolPairs toolItems = iota
	// toolPairLists is the same with the output in a list of parts. Open WebUI
	// breaks on a string, and takes a call without an output for work of its own.
	toolPairLists
	// toolMCPCalls is one mcp_call for both. SDKs that run every function_call
	// themselves leave it alone.
	toolMCPCalls
)

// serverLabel names this server in an mcp_call.
const serverLabel = "hermes"

// interrupted stands in for the output of a tool that the end of a turn
// overtook.
const interrupted = "The call was interrupted; its effects are unknown."

// responseOptions is what stays the same for one response.
type responseOptions struct {
	// response holds the settings; its state is not looked at.
	response openai.Response
	tools    toolItems
	newID    func() string
	now      func() time.Time
	// whole holds the text of an item back and sends it as one delta.
	whole bool
	// status adds status lines, in Open WebUI's form, to the events about tools.
	status bool
	// openWebUI makes events that Open WebUI can follow. It looks at the first
	// event of a tool's item only, unless the response is completed. When a line
	// is too long it gives the whole answer up, so there texts are left out that
	// it has in pieces already.
	openWebUI bool
}

// responseEncoder turns the events of a turn into the events of a stream of the
// Responses API, and into the response itself. It is a state machine without
// I/O or locks: each method returns the bytes to send, which are valid until the
// next call. Begin comes first; finish, incomplete, fail or cancel end the
// stream, and nothing comes after that.
//
// Items stand in the output in the order in which they began. A message or a
// piece of reasoning is closed by whatever begins next. What a stream shows of
// arguments and outputs of tools is bounded, so that readers with a limit on the
// length of lines can follow it; object keeps all. Only what a message or
// reasoning says is whole, however long, in the events that end it.
type responseEncoder struct {
	opts  responseOptions
	state openai.ResponseState // without Output
	items []*responseItem
	over  bool

	head      []byte // JSON of the settings, up to the state
	shownHead []byte // the same for events
	buf       []byte // what the current call returns
	mark      int    // where the current event begins in buf
	kind      string // of the event that began last
	ride      []byte // an extra key of the current event
	sequence  int64  // the next sequence_number
	after     int64  // events up to this number are left out
	// Where the end of the stream begins, to be taken back.
	lastMark     int
	lastSequence int64

	open  *responseItem // the message or reasoning that takes text
	frame []byte        // of its deltas, up to the text
	sent  int           // bytes of its text that were sent

	outline outline // of the events so far

	running []*runningCall // started and not finished
	left    []llm.ToolCall // to the client
}

// runningCall is a call that has started. Item is set if one item shows the call
// and its end.
type runningCall struct {
	call llm.ToolCall
	tool runningTool
	item *responseItem
}

func newResponseEncoder(opts responseOptions) *responseEncoder {
	e := &responseEncoder{opts: opts, after: -1, outline: newOutline()}
	e.state.Status = openai.StatusInProgress
	if opts.response.Background {
		e.state.Status = openai.StatusQueued
	}
	settings := opts.response.ResponseSettings
	e.head = appendJSON(nil, settings)
	e.head = e.head[:len(e.head)-1]
	e.shownHead = e.head
	if text := settings.Instructions; text != nil && len(*text) > maxInstructions {
		at := maxInstructions
		for !utf8.RuneStart((*text)[at]) {
			at--
		}
		short := (*text)[:at] + "\n[" + strconv.Itoa(len(*text)-at) + " bytes are left out here]"
		settings.Instructions = &short
		e.shownHead = appendJSON(nil, settings)
		e.shownHead = e.shownHead[:len(e.shownHead)-1]
	}
	return e
}

// begin returns the first events. A response in the background is queued until
// start, or the first event of its turn.
func (e *responseEncoder) begin() []byte {
	e.buf = e.buf[:0]
	e.lifecycle(openai.EventCreated)
	if e.opts.response.Background {
		e.lifecycle(openai.EventQueued)
	} else {
		e.lifecycle(openai.EventInProgress)
	}
	return e.buf
}

// start says that a queued turn runs now.
func (e *responseEncoder) start() []byte {
	e.buf = e.buf[:0]
	e.leaveQueue()
	return e.buf
}

func (e *responseEncoder) leaveQueue() {
	if e.state.Status == openai.StatusQueued {
		e.state.Status = openai.StatusInProgress
		e.lifecycle(openai.EventInProgress)
	}
}

// event returns the events of the stream that an event of the turn makes; there
// may be none. More reports that further ones follow at once.
func (e *responseEncoder) event(event agent.Event) (out []byte, more bool) {
	e.buf = e.buf[:0]
	if e.over {
		return nil, false
	}
	e.leaveQueue()
	switch event := event.(type) {
	case agent.Text:
		more = event.More
		if inner := inside(event.JSON); len(inner) > 0 {
			e.take(openai.ItemMessage)
			e.add(inner)
		}
	case agent.Reasoning:
		more = event.More
		if inner := inside(event.JSON); len(inner) > 0 {
			e.take(openai.ItemReasoning)
			e.add(inner)
		}
	case agent.ToolStarted:
		e.started(event.Call, toolOf(event.Call, event.Emoji, event.Label))
	case agent.ToolFinished:
		e.finished(event)
	}
	return e.buf, more
}

// object returns the response as it stands, as JSON. The bytes are the
// caller's.
func (e *responseEncoder) object() []byte { return e.appendResponse(nil, e.head, bounds{}) }

// lifecycle appends an event that holds the whole response. If that is too
// long, tools and then reasoning are cut further.
func (e *responseEncoder) lifecycle(kind string) {
	e.beginEvent(kind)
	e.buf = append(e.buf, `,"response":`...)
	from := len(e.buf)
	for b := shown(); ; b = b.tighter() {
		e.buf = e.appendResponse(e.buf[:from], e.shownHead, b)
		if len(e.buf)-from <= maxFinal {
			break
		}
		if b.tightest() {
			if e.opts.openWebUI { // then it keeps what it has
				e.buf = e.appendResponse(e.buf[:from], e.shownHead, bounds{nothing: true})
			}
			break
		}
	}
	e.endEvent()
}

// appendResponse appends the response, items cut to the bounds.
func (e *responseEncoder) appendResponse(b, head []byte, limits bounds) []byte {
	b = append(b, head...)
	b = append(b, `,"status":"`...)
	b = append(b, e.state.Status...)
	b = append(b, `","completed_at":`...)
	b = appendJSON(b, e.state.CompletedAt)
	b = append(b, `,"error":`...)
	b = appendJSON(b, e.state.Error)
	b = append(b, `,"incomplete_details":`...)
	b = appendJSON(b, e.state.IncompleteDetails)
	b = append(b, `,"output":`...)
	if limits.nothing {
		b = append(b, "null"...)
	} else {
		b = append(b, '[')
		for i, item := range e.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.append(b, limits)
		}
		b = append(b, ']')
	}
	b = append(b, `,"usage":`...)
	b = appendJSON(b, e.state.Usage)
	return append(b, '}')
}

// beginEvent begins one event of the stream.
func (e *responseEncoder) beginEvent(kind string) {
	e.mark, e.kind = len(e.buf), kind
	e.buf = append(e.buf, "event: "...)
	e.buf = append(e.buf, kind...)
	e.buf = append(e.buf, "\ndata: {\"type\":\""...)
	e.buf = append(e.buf, kind...)
	e.buf = append(e.buf, '"')
}

// endEvent ends the event that began last, and takes it out again if the client
// has it already.
func (e *responseEncoder) endEvent() {
	if e.opts.openWebUI && len(e.buf)-e.mark > maxFinal {
		e.buf = e.buf[:e.mark]
		e.beginEvent(e.kind) // and no more, so that the numbers stay those of a replay
	}
	if e.ride != nil {
		e.buf = append(e.buf, `,"event":`...)
		e.buf = append(e.buf, e.ride...)
		e.ride = nil
	}
	e.buf = append(e.buf, `,"sequence_number":`...)
	e.buf = strconv.AppendInt(e.buf, e.sequence, 10)
	e.buf = append(e.buf, "}\n\n"...)
	if e.sequence <= e.after {
		e.buf = e.buf[:e.mark]
	}
	e.sequence++
}

// responseUsage counts tokens in the public form. Zeros stand for what is not
// known, because strict clients want every count at the end.
func responseUsage(usage llm.Usage) *openai.ResponseUsage {
	return &openai.ResponseUsage{
		InputTokens:        usage.Input,
		InputTokenDetails:  openai.InputTokenDetails{CachedTokens: usage.Cached},
		OutputTokens:       usage.Output,
		OutputTokenDetails: openai.OutputTokenDetails{ReasoningTokens: usage.Reasoning},
		TotalTokens:        usage.Input + usage.Output,
	}
}
