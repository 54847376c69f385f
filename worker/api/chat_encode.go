package api

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// maxPiece is how many bytes of text, as they are escaped in JSON, go into one
// chunk. Readers of lines with a limit of 64 KiB are common, and the frame
// around the text takes some of that.
const maxPiece = 60 << 10

const (
	chunkEnd = "},\"finish_reason\":null}]}\n\n"
	doneLine = "data: [DONE]\n\n"
)

// chatOptions is what stays the same for all chunks of one stream.
type chatOptions struct {
	id      string
	created int64 // Unix seconds
	model   string
	// progress says how tools are shown.
	progress progress
	// usage asks for a chunk with the token counts at the end.
	usage bool
	// whole holds all text back and sends it as one chunk at the end.
	whole bool
	// lastOnly leaves out what the model says before its last message, for answers
	// that must be nothing but JSON. Which one is the last is known at the end.
	lastOnly bool
}

// chatEncoder turns the events of a turn into the chunks of a chat completions
// stream. It is a state machine without I/O: each method returns the bytes to
// send, which are valid until the next call. Begin comes first, end last.
type chatEncoder struct {
	opts chatOptions

	frame     []byte // of every chunk, up to the choices
	content   []byte // of a chunk with text, up to the text
	reasoning []byte // of a chunk with reasoning, up to the text
	buf       []byte // what the current call returns

	last    lastSent      // what the content ends with
	acted   bool          // a tool started or ended since the last text
	running []runningTool // started and not finished
	text    []byte        // held back: the inside of one JSON string
	thought []byte        // the same of reasoning
}

// lastSent is the kind of content that was sent last.
type lastSent uint8

const (
	nothing lastSent = iota
	someText
	someMarker
)

func newChatEncoder(opts chatOptions) *chatEncoder {
	e := &chatEncoder{opts: opts}
	e.frame = append(e.frame, `data: {"id":`...)
	e.frame = appendQuoted(e.frame, opts.id)
	e.frame = append(e.frame, `,"object":"chat.completion.chunk","created":`...)
	e.frame = strconv.AppendInt(e.frame, opts.created, 10)
	e.frame = append(e.frame, `,"model":`...)
	e.frame = appendQuoted(e.frame, opts.model)
	e.frame = append(e.frame, `,"choices":[`...)
	e.content = append(e.content, e.frame...)
	e.content = append(e.content, `{"index":0,"delta":{"content":"`...)
	e.reasoning = append(e.reasoning, e.frame...)
	e.reasoning = append(e.reasoning, `{"index":0,"delta":{"reasoning_content":"`...)
	return e
}

// begin returns the first chunk, which says only that an assistant speaks.
func (e *chatEncoder) begin() []byte {
	e.buf = append(e.buf[:0], e.frame...)
	e.buf = append(e.buf, `{"index":0,"delta":{"role":"assistant","content":""`...)
	e.buf = append(e.buf, chunkEnd...)
	return e.buf
}

// event returns the chunks of one event; there may be none. More reports that
// further events follow at once.
func (e *chatEncoder) event(event agent.Event) (out []byte, more bool) {
	e.buf = e.buf[:0]
	switch event := event.(type) {
	case agent.Text:
		more = event.More
		if inner := inside(event.JSON); len(inner) > 0 && !e.opts.lastOnly {
			e.addText(inner)
		}
	case agent.Reasoning:
		more = event.More
		inner := inside(event.JSON)
		if e.opts.whole {
			e.thought = append(e.thought, inner...)
		} else {
			e.pieces(e.reasoning, "", inner)
		}
	case agent.ToolStarted:
		e.started(event)
	case agent.ToolFinished:
		e.finished(event)
	}
	return e.buf, more
}

// end returns the last chunks of a turn that has ended well: the rest of its
// text, the calls that are left to the client, why it ended, and its token counts
// if they were asked for.
func (e *chatEncoder) end(result agent.Result) []byte {
	e.buf = e.buf[:0]
	if e.opts.lastOnly {
		e.text = inside(appendQuoted(nil, result.Message.Text()))
	}
	e.settle()
	e.calls(result.ClientCalls)
	e.buf = append(e.buf, e.frame...)
	e.buf = append(e.buf, `{"index":0,"delta":{},"finish_reason":"`...)
	e.buf = append(e.buf, finishReason(result.Finish)...)
	e.buf = append(e.buf, "\"}]}\n\n"...)
	if e.opts.usage {
		e.buf = append(e.buf, e.frame...)
		e.buf = append(e.buf, `],"usage":`...)
		e.buf = appendJSON(e.buf, chatUsage(result.Usage))
		e.buf = append(e.buf, "}\n\n"...)
	}
	e.buf = append(e.buf, doneLine...)
	return e.buf
}

// fail returns the last events of a turn that has failed. The error stands
// alone, without choices: that is how SDKs know it.
func (e *chatEncoder) fail(failure openai.Error) []byte {
	e.buf = e.buf[:0]
	e.settle()
	e.buf = append(e.buf, "data: "...)
	e.buf = appendJSON(e.buf, openai.ErrorBody{Error: failure})
	e.buf = append(e.buf, "\n\n"+doneLine...)
	return e.buf
}

// addText sends or holds text. What the model says after it used tools begins a
// new paragraph, as it is a message of its own.
func (e *chatEncoder) addText(inner []byte) {
	acted := e.acted
	e.acted = false
	if e.opts.whole {
		if acted && len(e.text) > 0 {
			e.text = append(e.text, `\n\n`...)
		}
		e.text = append(e.text, inner...)
		return
	}
	gap := ""
	switch {
	case !acted || e.last == nothing:
	case e.last == someMarker: // which ends its own line
		gap = `\n`
	default:
		gap = `\n\n`
	}
	e.last = someText
	e.pieces(e.content, gap, inner)
}

// pieces appends chunks that hold inner, the inside of a JSON string, with gap
// in front of it.
func (e *chatEncoder) pieces(frame []byte, gap string, inner []byte) {
	for len(inner) > 0 {
		n := len(inner)
		if n > maxPiece {
			n = cut(inner, maxPiece)
		}
		e.buf = append(e.buf, frame...)
		e.buf = append(e.buf, gap...)
		e.buf = append(e.buf, inner[:n]...)
		e.buf = append(e.buf, '"')
		e.buf = append(e.buf, chunkEnd...)
		inner, gap = inner[n:], ""
	}
}

// settle sends what was held back, and a last event for each tool that has not
// ended, as frontends show it as running for ever otherwise.
func (e *chatEncoder) settle() {
	for len(e.running) > 0 {
		tool := e.running[0]
		e.running = e.running[1:]
		if e.opts.progress.events {
			e.status(tool, "failed")
		}
	}
	e.pieces(e.reasoning, "", e.thought)
	gap := ""
	if e.last == someMarker {
		gap = `\n`
	}
	e.pieces(e.content, gap, e.text)
	e.thought, e.text = nil, nil
}

// inside returns a JSON string literal without its quotes.
func inside(literal []byte) []byte {
	if len(literal) < 2 {
		return nil
	}
	return literal[1 : len(literal)-1]
}

// cut returns how many bytes of inner, the inside of a JSON string longer than
// limit, fit into limit without cutting through a character, an escape or a
// surrogate pair.
func cut(inner []byte, limit int) int {
	at := 0
	for at < limit {
		next := at
		switch {
		case inner[at] != '\\':
			_, size := utf8.DecodeRune(inner[at:])
			next += size
		case at+1 < len(inner) && inner[at+1] == 'u':
			next += 6
			if highSurrogate(inner[at:]) && next+1 < len(inner) && inner[next] == '\\' && inner[next+1] == 'u' {
				next += 6
			}
		default:
			next += 2
		}
		if next > limit {
			break
		}
		at = next
	}
	return at
}

// highSurrogate reports whether an escape \uXXXX is the first of a pair.
func highSurrogate(escape []byte) bool {
	return len(escape) >= 6 && (escape[2] == 'd' || escape[2] == 'D') &&
		(escape[3] == '8' || escape[3] == '9' || escape[3]|0x20 == 'a' || escape[3]|0x20 == 'b')
}

// finishReason spells why an answer ended as clients know it.
func finishReason(finish llm.Finish) string {
	switch finish {
	case llm.FinishLength, llm.FinishContentFilter, llm.FinishToolCalls:
		return string(finish)
	default:
		return string(llm.FinishStop)
	}
}

// chatUsage counts tokens in the public form.
func chatUsage(usage llm.Usage) *openai.Usage {
	u := &openai.Usage{
		PromptTokens:     openai.Number(usage.Input),
		CompletionTokens: openai.Number(usage.Output),
		TotalTokens:      openai.Number(usage.Input + usage.Output),
	}
	if usage.Cached > 0 {
		u.PromptTokensDetails = &openai.PromptTokensDetails{CachedTokens: openai.Number(usage.Cached)}
	}
	if usage.Reasoning > 0 {
		u.CompletionTokensDetails = &openai.CompletionTokensDetails{ReasoningTokens: openai.Number(usage.Reasoning)}
	}
	return u
}

func appendQuoted(b []byte, text string) []byte { return appendJSON(b, text) }

// appendJSON appends a value of our own types, which can always be encoded.
func appendJSON(b []byte, value any) []byte {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return append(b, encoded...)
}
