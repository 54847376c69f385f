package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
)

const (
	// maxRestored is how many bytes of what is kept go into one request, the newest
	// turns first. What is older stays as the client sent it: the tool results of a
	// long chat would fill the model's window.
	maxRestored = 256 << 10
	// keepTimeout bounds the write of a turn, which no client's leaving cancels.
	keepTimeout = 5 * time.Second
	// prefixChat begins the names of sessions that are made for chats.
	prefixChat = "chat_"
)

// Transcripts keeps what the turns of a chat truly were. Clients of chat
// completions keep the history themselves and send back what they were shown, in
// which tool calls and their results are missing.
type Transcripts interface {
	// Lookup returns what is kept under each of the hashes of a history, at its
	// place, and the zero KeptTurn where there is nothing.
	Lookup(ctx context.Context, hashes [][]byte) ([]KeptTurn, error)
	// Put keeps a turn under the hash of the history that it ends.
	Put(ctx context.Context, hash []byte, turn KeptTurn) error
}

// KeptTurn is a turn of a chat.
type KeptTurn struct {
	// SessionID is the session that it belongs to.
	SessionID string
	// Messages is what it truly was, empty if its client knows all of it.
	Messages []byte
}

// runFunc is Runner.Run, or another function that does the like.
type runFunc func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error)

// remembering returns a Run that knows what the turns before truly were, and keeps
// what this one is before the client has the end of its answer: the next request
// may follow at once.
func (s *Server) remembering(opts chatOptions, stream bool) runFunc {
	if s.opts.Transcripts == nil {
		return s.opts.Agent.Run
	}
	return func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		var end chain
		turn, end = s.restore(ctx, turn)
		if turn.SessionID == "" {
			turn.SessionID = prefixChat + s.opts.NewID()
		}
		result, err := s.opts.Agent.Run(ctx, turn, emit)
		// Of a turn that broke off, a client has what was streamed. One that has gone
		// may have less of it: then what is kept is not found, and does no harm.
		if err == nil || stream && !opts.lastOnly {
			s.keep(ctx, turn, end, result, opts.lastOnly)
		}
		return result, err
	}
}

// restore puts what is kept into a turn's history in place of what the client was
// shown of it, finds the session that it goes on with, and returns the history's
// chain too. A history that was edited, cut or begun anew has other hashes from
// there on, so what does not belong to it is not found.
func (s *Server) restore(ctx context.Context, turn agent.Turn) (agent.Turn, chain) {
	var end chain
	var hashes [][]byte
	var places []int
	for i, message := range turn.History {
		end.add(message)
		if message.Role == llm.Assistant {
			hashes, places = append(hashes, bytes.Clone(end.sum[:])), append(places, i)
		}
	}
	if len(hashes) == 0 {
		return turn, end
	}
	kept, err := s.opts.Transcripts.Lookup(ctx, hashes)
	if err != nil {
		s.opts.Log.Warn("history was not restored", "request_id", turn.RequestID, "error", err)
		return turn, end
	}
	restored := slices.Clone(turn.History)
	size := 0
	for k, before := range slices.Backward(kept) { // so that the places before hold
		turn.SessionID = cmp.Or(turn.SessionID, before.SessionID)
		if size += len(before.Messages); size > maxRestored {
			break
		}
		if messages := readTurn(before.Messages); messages != nil {
			restored = slices.Replace(restored, places[k], places[k]+1, messages...)
		}
	}
	turn.History = restored
	return turn, end
}

// readTurn returns nil for what is no turn.
func readTurn(kept []byte) []llm.Message {
	var messages []llm.Message
	if len(kept) == 0 || json.Unmarshal(kept, &messages) != nil || len(messages) == 0 || messages[0].Role != llm.Assistant {
		return nil
	}
	return messages
}

// keep keeps a turn: what of it its client cannot send back, and which session it
// belongs to. End is the chain of the history before it.
func (s *Server) keep(ctx context.Context, turn agent.Turn, end chain, result agent.Result, lastOnly bool) {
	shown := llm.TextMessage(llm.Assistant, answerContent(result, lastOnly).Text)
	shown.ToolCalls = result.ClientCalls
	if visible(llm.Assistant, shown.Text()) == "" && len(shown.ToolCalls) == 0 {
		return // an answer without a word does not come back
	}
	end.add(shown)
	put := func(messages []byte) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
		defer cancel()
		if err := s.opts.Transcripts.Put(ctx, end.sum[:], KeptTurn{turn.SessionID, messages}); err != nil {
			s.opts.Log.Warn("turn was not kept", "request_id", turn.RequestID, "error", err)
		}
	}
	if !slices.ContainsFunc(result.Messages, func(m llm.Message) bool { return len(m.ToolCalls) > 0 }) {
		// Only the name of the session is kept, for which nobody has to wait.
		s.working.Go(func() { put(nil) })
		return
	}
	messages, err := json.Marshal(result.Messages)
	if err != nil {
		s.opts.Log.Warn("turn was not kept", "request_id", turn.RequestID, "error", err)
		return
	}
	put(messages)
}
