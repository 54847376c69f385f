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
	"hermes/worker/store"
)

const (
	// maxRestored is how many bytes of what is kept are put into one history, the
	// newest turns first, for the sake of memory alone; it has room for all images
	// that one turn may show. What is older comes back without its images, or stays as
	// the client sent it. The agent makes a long history short, and wants the same one
	// each time: where the limit passes through it, all that follows looks new.
	maxRestored = 12 << 20
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
	// Unheard returns the runs that answered one of these histories (Turn.Follows)
	// and whose process died before their client had the whole answer. Heard says
	// that it has.
	Unheard(ctx context.Context, histories [][]byte) ([]store.Unheard, error)
	Heard(ctx context.Context, runID string) error
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
//
// The name of the run goes to ran: its client has to be told of the end yet.
func (s *Server) remembering(opts chatOptions, stream bool, ran *string) runFunc {
	if s.opts.Transcripts == nil {
		return s.opts.Agent.Run
	}
	return func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		turn, end, broken := s.restore(ctx, turn)
		turn.Follows = bytes.Clone(end.sum[:])
		if turn.SessionID == "" {
			turn.SessionID = prefixChat + s.opts.NewID()
		}
		result, err := s.opts.Agent.Run(ctx, turn, emit)
		// Of a turn that broke off, a client has what was streamed. One that has gone
		// may have less of it: then what is kept is not found, and does no harm.
		if err == nil || stream && !opts.lastOnly {
			s.keep(ctx, turn, end, keeping{result: result, before: broken, lastOnly: opts.lastOnly})
		}
		*ran = result.RunID
		return result, err
	}
}

// restore puts what is kept into a turn's history in place of what the client was
// shown of it, finds the session that it goes on with, and returns the history's
// chain too. A history that was edited, cut or begun anew has other hashes from
// there on, so what does not belong to it is not found. What a crash broke off comes
// back too; broken is what of it the turn goes on from.
func (s *Server) restore(ctx context.Context, turn agent.Turn) (restored agent.Turn, end chain, broken []llm.Message) {
	var answers, asked [][]byte // hashes of histories that end so
	for _, message := range turn.History {
		end.add(message)
		if message.Role == llm.Assistant {
			answers = append(answers, bytes.Clone(end.sum[:]))
		} else {
			asked = append(asked, bytes.Clone(end.sum[:]))
		}
	}
	kept := make([]KeptTurn, len(answers))
	if len(answers) > 0 {
		s.naming.wait(ctx, answers)
		found, err := s.opts.Transcripts.Lookup(ctx, answers)
		if err != nil {
			s.opts.Log.Warn("history was not restored", "request_id", turn.RequestID, "error", err)
			return turn, end, nil
		}
		kept = found
	}
	r := restoring{history: turn.History, kept: kept, broken: s.brokenTurns(ctx, turn, asked)}
	turn.History = r.all()
	turn.SessionID = cmp.Or(turn.SessionID, r.sessionID)
	return turn, end, r.goesOn
}

// restoring is a history in which turns take the place of what was shown of them.
type restoring struct {
	history []llm.Message // as the client sent it
	kept    []KeptTurn    // for each of its answers
	broken  []brokenTurn  // for each of its other messages

	restored  []llm.Message
	size      int
	sessionID string        // the newest
	goesOn    []llm.Message // what was put back behind the last message
}

// all goes from the end to the beginning, so that places hold and the newest turns
// have the room that there is.
func (r *restoring) all() []llm.Message {
	r.restored = slices.Clone(r.history)
	answers, others := len(r.kept), len(r.broken)
	known := false // the answer that follows
	for i, message := range slices.Backward(r.history) {
		if message.Role == llm.Assistant {
			answers--
			known = r.kept[answers].SessionID != "" || len(r.kept[answers].Messages) > 0
			r.answer(i, r.kept[answers])
			continue
		}
		others--
		broken := r.broken[others]
		r.sessionID = cmp.Or(r.sessionID, broken.sessionID)
		if i == len(r.history)-1 {
			broken.messages = withoutLastWords(broken.messages)
		}
		if r.size += broken.size; len(broken.messages) > 0 && r.size <= maxRestored {
			r.restored = broken.putBack(r.restored, i, known)
			if i == len(r.history)-1 {
				r.goesOn = broken.messages
			}
		}
		known = false
	}
	return r.restored
}

// answer puts a turn in the place of what the client has of it.
func (r *restoring) answer(i int, turn KeptTurn) {
	r.sessionID = cmp.Or(r.sessionID, turn.SessionID)
	messages, size := readTurn(turn.Messages), len(turn.Messages)
	if r.size+size > maxRestored {
		size -= leaveOutImages(messages)
	}
	if r.size += size; messages != nil && r.size <= maxRestored {
		r.restored = slices.Replace(r.restored, i, i+1, messages...)
	}
}

// leaveOutImages puts a note in the place of each image of a turn that was read, and
// returns how many bytes that saves.
func leaveOutImages(messages []llm.Message) (saved int) {
	for _, m := range messages {
		for k, part := range m.Parts {
			if part.ImageURL != "" {
				saved += len(part.ImageURL)
				m.Parts[k] = llm.Part{Text: "\n[An image that was shown here is left out.]"}
			}
		}
	}
	return saved
}

// readTurn returns nil for what is no turn.
func readTurn(kept []byte) []llm.Message {
	var messages []llm.Message
	if len(kept) == 0 || json.Unmarshal(kept, &messages) != nil || len(messages) == 0 || messages[0].Role != llm.Assistant {
		return nil
	}
	return messages
}

// keeping is what becomes of a turn.
type keeping struct {
	result agent.Result
	// before is what a crash broke off and the turn went on from.
	before   []llm.Message
	lastOnly bool
}

// keep keeps a turn: what of it its client cannot send back, and which session it
// belongs to. End is the chain of the history before it.
func (s *Server) keep(ctx context.Context, turn agent.Turn, end chain, k keeping) {
	result := k.result
	shown := llm.TextMessage(llm.Assistant, answerContent(result, k.lastOnly).Text)
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
	all := slices.Concat(k.before, result.Messages)
	if !slices.ContainsFunc(all, func(m llm.Message) bool { return len(m.ToolCalls) > 0 }) {
		// Only the name of the session is kept, for which nobody has to wait but the
		// next request of this chat.
		done := s.naming.begin(end.sum)
		s.working.Go(func() {
			defer done()
			put(nil)
		})
		return
	}
	messages, err := json.Marshal(all)
	if err != nil {
		s.opts.Log.Warn("turn was not kept", "request_id", turn.RequestID, "error", err)
		return
	}
	put(messages)
}
