package llmtest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// created is the timestamp of all answers, fixed so that equal calls get equal
// bytes.
const created = 1_700_000_000

// answering is the sending of one reply.
type answering struct {
	call    Call
	reply   Reply
	w       http.ResponseWriter
	control *http.ResponseController
	ctx     context.Context //nolint:containedctx // lives as long as the request
	prefix  string
}

// send reports whether the client stayed to the end.
func (a *answering) send() bool {
	if a.reply.Status >= http.StatusBadRequest {
		if a.reply.RetryAfter != "" {
			a.w.Header().Set("Retry-After", a.reply.RetryAfter)
		}
		message := a.reply.Message
		if message == "" {
			message = http.StatusText(a.reply.Status)
		}
		writeError(a.w, a.reply.Status, message)
		return true
	}
	if a.call.Stream {
		a.w.Header().Set("Content-Type", "text/event-stream")
		a.w.Header().Set("Cache-Control", "no-cache")
		return a.stream()
	}
	return a.whole()
}

// stream sends the reply as server-sent events.
func (a *answering) stream() bool {
	if a.reply.Raw != "" {
		return a.write(a.reply.Raw)
	}
	a.prefix = `data: {"id":"` + a.id() + `","object":"chat.completion.chunk","created":` +
		strconv.Itoa(created) + `,"model":` + string(quote(a.call.Model)) + `,` + a.reply.Extra
	ok := a.delta(`{"role":"assistant","content":""}`, "null")
	for _, piece := range a.reply.Reasoning {
		ok = ok && a.delta(`{"reasoning_content":`+string(quote(piece))+`}`, "null")
	}
	for _, piece := range a.reply.Chunks {
		ok = ok && a.pause() && a.delta(`{"content":`+string(quote(piece))+`}`, "null")
	}
	if a.reply.StreamError != "" {
		body, err := json.Marshal(map[string]any{"error": errorBody(http.StatusInternalServerError, a.reply.StreamError)})
		return err == nil && ok && a.write("data: "+string(body)+"\n\ndata: [DONE]\n\n") && a.flush()
	}
	if done := a.stopEarly(ok); done {
		return ok && !a.reply.Hang
	}
	for i, call := range a.reply.Calls {
		ok = ok && a.toolCall(i, call)
	}
	ok = ok && a.delta(`{}`, string(quote(a.finish())))
	if a.call.IncludeUsage {
		ok = ok && a.write(a.prefix+`"choices":[],"usage":`+a.usage()+"}\n\n")
	}
	return ok && a.write("data: [DONE]\n\n") && a.flush()
}

// whole sends the reply as one JSON object.
func (a *answering) whole() bool {
	if a.reply.Raw != "" {
		a.w.Header().Set("Content-Type", "application/json")
		return a.write(a.reply.Raw)
	}
	for range a.reply.Chunks {
		if !a.pause() {
			return false
		}
	}
	if done := a.stopEarly(true); done {
		return !a.reply.Hang
	}
	if a.reply.StreamError != "" {
		writeError(a.w, http.StatusInternalServerError, a.reply.StreamError)
		return true
	}
	message := map[string]any{"role": "assistant", "content": strings.Join(a.reply.Chunks, "")}
	if len(a.reply.Reasoning) > 0 {
		message["reasoning_content"] = strings.Join(a.reply.Reasoning, "")
	}
	if len(a.reply.Calls) > 0 {
		calls := make([]any, 0, len(a.reply.Calls))
		for _, call := range a.reply.Calls {
			calls = append(calls, map[string]any{
				"id": call.ID, "type": "function",
				"function": map[string]any{"name": call.Name, "arguments": call.Arguments},
			})
		}
		message["tool_calls"] = calls
		if len(a.reply.Chunks) == 0 {
			message["content"] = nil
		}
	}
	writeJSON(a.w, http.StatusOK, map[string]any{
		"id": a.id(), "object": "chat.completion", "created": created, "model": a.call.Model,
		"choices": []any{map[string]any{"index": 0, "message": message, "finish_reason": a.finish()}},
		"usage":   json.RawMessage(a.usage()),
	})
	return a.ctx.Err() == nil
}

// stopEarly does what Cut and Hang ask for and reports whether the answer ends
// with that. Ok says whether the client is still there.
func (a *answering) stopEarly(ok bool) bool {
	switch {
	case a.reply.Cut:
		if ok && a.call.Stream {
			a.write(a.prefix + `"choices":[{"index":0,"del`)
		} else if ok {
			a.write(`{"id":"` + a.id() + `","object":"chat.compl`)
		}
		a.flush()
		return true
	case a.reply.Hang:
		a.flush()
		<-a.ctx.Done()
		return true
	default:
		return false
	}
}

// toolCall sends a call as providers do: the name first, its arguments in two
// pieces after it.
func (a *answering) toolCall(index int, call ToolCall) bool {
	i := strconv.Itoa(index)
	half := len(call.Arguments) / 2
	for half > 0 && call.Arguments[half]&0xC0 == 0x80 { // not inside a character
		half--
	}
	ok := a.delta(`{"tool_calls":[{"index":`+i+`,"id":`+string(quote(call.ID))+
		`,"type":"function","function":{"name":`+string(quote(call.Name))+`,"arguments":""}}]}`, "null")
	for _, piece := range []string{call.Arguments[:half], call.Arguments[half:]} {
		ok = ok && a.delta(`{"tool_calls":[{"index":`+i+`,"function":{"arguments":`+string(quote(piece))+`}}]}`, "null")
	}
	return ok
}

// delta sends one chunk. Both arguments are JSON.
func (a *answering) delta(delta, finish string) bool {
	ok := a.write(a.prefix + `"choices":[{"index":0,"delta":` + delta + `,"finish_reason":` + finish + "}]}\n\n")
	if a.reply.Burst {
		return ok
	}
	return ok && a.flush()
}

// pause waits before a chunk, as the reply asks.
func (a *answering) pause() bool {
	if a.reply.Gate != nil {
		select {
		case <-a.reply.Gate:
		case <-a.ctx.Done():
			return false
		}
	}
	if a.reply.Gap > 0 {
		timer := time.NewTimer(a.reply.Gap)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-a.ctx.Done():
			return false
		}
	}
	return true
}

func (a *answering) write(s string) bool {
	if a.ctx.Err() != nil {
		return false
	}
	_, err := io.WriteString(a.w, s)
	return err == nil
}

func (a *answering) flush() bool { return a.control.Flush() == nil && a.ctx.Err() == nil }

func (a *answering) id() string { return "chatcmpl-" + strconv.Itoa(a.call.N) }

func (a *answering) finish() string {
	switch {
	case a.reply.Finish != "":
		return a.reply.Finish
	case len(a.reply.Calls) > 0:
		return "tool_calls"
	default:
		return "stop"
	}
}

// usage is the usage object. Tokens are guessed at a quarter of the bytes, and
// at least one.
func (a *answering) usage() string {
	prompt, completion := a.reply.Prompt, a.reply.Completion
	if prompt == 0 {
		prompt = 1 + len(a.call.Body)/4
	}
	if completion == 0 {
		completion = 1 + len(strings.Join(a.reply.Chunks, ""))/4
	}
	return `{"prompt_tokens":` + strconv.Itoa(prompt) + `,"completion_tokens":` + strconv.Itoa(completion) +
		`,"total_tokens":` + strconv.Itoa(prompt+completion) + `}`
}
