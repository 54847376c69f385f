package api

import (
	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// finish returns the last events of a turn that the model ended. An answer that
// was cut makes the response incomplete.
func (e *responseEncoder) finish(result agent.Result) []byte {
	switch result.Finish {
	case llm.FinishLength:
		last := openai.StatusIncomplete
		if result.Cut { // the agent has said itself that it stopped, and why
			last = openai.StatusCompleted
		}
		return e.endEarly(openai.ReasonMaxOutputTokens, last, result.Usage)
	case llm.FinishContentFilter:
		return e.endEarly(openai.ReasonContentFilter, openai.StatusIncomplete, result.Usage)
	case llm.FinishToolCalls:
		e.left = result.ClientCalls
	case llm.FinishStop:
	}
	return e.end(openai.StatusCompleted, openai.StatusCompleted, result.Usage, func(state *openai.ResponseState) {
		now := e.opts.now().Unix()
		state.CompletedAt = &now
	})
}

// incomplete returns the last events of a turn that was ended early for the
// reason, such as openai.ReasonMaxOutputTokens.
func (e *responseEncoder) incomplete(reason string, usage llm.Usage) []byte {
	return e.endEarly(reason, openai.StatusIncomplete, usage)
}

func (e *responseEncoder) endEarly(reason, last string, usage llm.Usage) []byte {
	return e.end(openai.StatusIncomplete, last, usage, func(state *openai.ResponseState) {
		state.IncompleteDetails = &openai.IncompleteDetails{Reason: reason}
	})
}

// fail returns the last events of a turn that has failed.
func (e *responseEncoder) fail(failure openai.ResponseError, usage llm.Usage) []byte {
	if failure.Code == "" {
		failure.Code = openai.CodeServerError
	}
	if failure.Type == "" {
		failure.Type = openai.TypeServer
	}
	return e.end(openai.StatusFailed, openai.StatusIncomplete, usage, func(state *openai.ResponseState) {
		state.Error = &failure
	})
}

// cancel returns the last events of a turn that somebody stopped.
func (e *responseEncoder) cancel(usage llm.Usage) []byte {
	return e.end(openai.StatusCancelled, openai.StatusIncomplete, usage, func(state *openai.ResponseState) {
		state.IncompleteDetails = &openai.IncompleteDetails{Reason: openai.ReasonCancelled}
	})
}

// end closes what is open, the last item with a status of its own, and then the
// stream.
func (e *responseEncoder) end(status, last string, usage llm.Usage, set func(*openai.ResponseState)) []byte {
	e.buf = e.buf[:0]
	if e.over {
		return nil
	}
	e.leaveQueue()
	e.settle(last)
	for len(e.running) > 0 {
		e.interrupt(e.running[0])
	}
	for _, call := range e.left { // in every form, as it is the client that runs them
		e.functionCall(e.newID(openai.ItemFunctionCall), call)
	}
	e.state.Status = status
	e.state.Usage = responseUsage(usage)
	set(&e.state)
	e.last()
	return e.buf
}

// retract turns the end that was made last, and of which nothing was sent, into
// that of a turn that has failed: it could not be stored.
func (e *responseEncoder) retract(failure openai.ResponseError) []byte {
	e.buf = e.buf[:e.lastMark]
	e.sequence = e.lastSequence
	e.state.Status, e.state.Error = openai.StatusFailed, &failure
	e.state.CompletedAt, e.state.IncompleteDetails = nil, nil
	e.last()
	return e.buf
}

// last appends the event that ends a stream. The public description has none of
// its own for a cancelled response.
func (e *responseEncoder) last() {
	e.over = true
	e.lastMark, e.lastSequence = len(e.buf), e.sequence
	kind := openai.EventIncomplete
	switch e.state.Status {
	case openai.StatusCompleted:
		kind = openai.EventCompleted
	case openai.StatusFailed:
		e.fault()
		kind = openai.EventFailed
	}
	e.lifecycle(kind)
	e.buf = append(e.buf, doneLine...)
}

// fault appends the event that tells of a failure. The official libraries and
// LangChain raise it as an error, and pass response.failed by as if it were an
// answer; Open WebUI reads only that. The fields stand in it twice, as OpenAI
// describes the event and as it and the libraries have it.
func (e *responseEncoder) fault() {
	f := e.state.Error
	if f == nil {
		return
	}
	described := openai.Error{Message: f.Message, Type: f.Type, Code: f.Code}
	e.beginEvent(openai.EventError)
	e.buf = append(e.buf, `,"code":`...)
	e.buf = appendQuoted(e.buf, f.Code)
	e.buf = append(e.buf, `,"message":`...)
	e.buf = appendQuoted(e.buf, f.Message)
	e.buf = append(e.buf, `,"param":null,"error":`...)
	e.buf = appendJSON(e.buf, described)
	e.endEvent()
}
