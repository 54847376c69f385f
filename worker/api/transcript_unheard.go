package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/store"
)

// brokenTurn is what a process did of a turn before it died. Its client has some of
// the text of it, or nothing.
type brokenTurn struct {
	sessionID string
	messages  []llm.Message
	size      int // of the messages, in bytes as they are kept
}

// brokenTurns finds the turns that broke off with their process, by the hashes of
// the histories that they answered. They stand at the places of those.
func (s *Server) brokenTurns(ctx context.Context, turn agent.Turn, histories [][]byte) []brokenTurn {
	broken := make([]brokenTurn, len(histories))
	found, err := s.opts.Transcripts.Unheard(ctx, histories)
	if err != nil {
		s.opts.Log.Warn("what a crash broke off was not restored", "request_id", turn.RequestID, "error", err)
		return broken
	}
	for _, run := range found {
		messages, err := messagesOf(run.Messages)
		if err != nil {
			s.opts.Log.Warn("what a crash broke off was not restored", "request_id", turn.RequestID, "run_id", run.RunID, "error", err)
			continue
		}
		at := &broken[run.Place]
		at.sessionID = cmp.Or(at.sessionID, run.SessionID)
		at.messages = append(at.messages, messages...)
		for _, row := range run.Messages {
			at.size += len(row.Body) + len(row.Text)
		}
	}
	return broken
}

// putBack puts the turn into a history behind the message at place, which it
// answered. What its client has of it must be the beginning of what it said, or go
// on from there; a history that says something else there was edited.
func (b brokenTurn) putBack(history []llm.Message, place int, known bool) []llm.Message {
	next := place + 1
	if next == len(history) || history[next].Role != llm.Assistant {
		return slices.Insert(history, next, b.messages...)
	}
	if known || len(history[next].ToolCalls) > 0 { // the client has an answer
		return history
	}
	said := visible(llm.Assistant, agent.Result{Messages: b.messages}.Text())
	text := stripShown(history[next].Text())
	shown := visible(llm.Assistant, text)
	messages := b.messages
	switch {
	case strings.HasPrefix(said, shown):
	case strings.HasPrefix(shown, said):
		rest := strings.TrimSpace(behind(text, len(said)))
		messages = append(slices.Clip(messages), llm.TextMessage(llm.Assistant, rest))
	default:
		return history
	}
	return slices.Replace(history, next, next+1, messages...)
}

// withoutLastWords leaves out an answer that nobody heard at the end of messages: the
// same message is asked again, and a model that finds an answer there says nothing.
func withoutLastWords(messages []llm.Message) []llm.Message {
	for n := len(messages); n > 0; n-- {
		if last := messages[n-1]; last.Role != llm.Assistant || len(last.ToolCalls) > 0 {
			return messages[:n]
		}
	}
	return nil
}

// behind returns what follows the first n bytes of a text that are no white space.
func behind(text string, n int) string {
	for i, r := range text {
		if n <= 0 {
			return text[i:]
		}
		if !unicode.IsSpace(r) {
			n -= len(string(r))
		}
	}
	return ""
}

// messagesOf reads recorded messages.
func messagesOf(recorded []store.Message) ([]llm.Message, error) {
	messages := make([]llm.Message, 0, len(recorded))
	for _, row := range recorded {
		var message llm.Message
		if row.Role == store.RoleTool {
			message = llm.TextMessage(llm.Tool, row.Text)
			message.ToolCallID = row.ToolCallID
		} else if err := json.Unmarshal(row.Body, &message); err != nil {
			return nil, fmt.Errorf("read message %d: %w", row.ID, err)
		}
		messages = append(messages, message)
	}
	return messages, nil
}

// heard says that a client has the whole answer of a run. Nobody has to wait for it.
func (s *Server) heard(ctx context.Context, runID string) {
	if s.opts.Transcripts == nil || runID == "" {
		return
	}
	s.working.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTimeout)
		defer cancel()
		if err := s.opts.Transcripts.Heard(ctx, runID); err != nil {
			s.opts.Log.Warn("end of an answer was not recorded", "run_id", runID, "error", err)
		}
	})
}
