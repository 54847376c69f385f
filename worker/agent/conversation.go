package agent

import (
	"bytes"
	"context"
	"slices"

	"hermes/worker/llm"
)

// conversation is a transcript, and what a model is sent of it.
type conversation struct {
	system []llm.Message // one or none
	all    []llm.Message // the transcript as it truly is, without system
	done   Compaction    // how view follows from all
	view   []llm.Message // what is sent: system first

	// The estimate of what is sent, kept up while messages are added: nothing is
	// encoded or counted twice.
	tokens int
	// What a provider has counted of view, and the estimate of the same; 0 before
	// the first answer and after view has changed.
	counted, countedAs int
}

func newConversation(system string, history []llm.Message) conversation {
	c := conversation{all: slices.Clip(history)} // it belongs to the caller
	if system != "" {
		c.system = []llm.Message{llm.TextMessage(llm.System, system)}
	}
	c.show(Compaction{})
	return c
}

// show makes the view anew.
func (c *conversation) show(compaction Compaction) {
	c.done = compaction
	c.view = compaction.apply(c.system, c.all)
	c.tokens, c.counted, c.countedAs = tokensOfAll(c.view), 0, 0
}

func (c *conversation) add(message llm.Message) {
	c.all = append(c.all, message)
	c.view = append(c.view, message)
	c.tokens += tokensOf(message)
}

// answered takes note of what a provider has counted: its request, which was all of
// view, and the answer, which becomes part of it next. Thinking does not come back.
func (c *conversation) answered(answer llm.Message) {
	usage := answer.Usage
	c.counted, c.countedAs = usage.Input, c.tokens
	if said := usage.Output - usage.Reasoning; said > 0 {
		c.counted += said
		c.countedAs += tokensOf(answer)
	}
}

// size estimates the tokens of the next request: what was counted, and what came
// after that by the ratio of the model; or all by the ratio. Extra is what the tools
// take.
func (c *conversation) size(extra int, ratio float64) int {
	if c.counted > 0 {
		return c.counted + int(ratio*float64(c.tokens-c.countedAs))
	}
	return int(ratio * float64(c.tokens+extra))
}

// covered returns a compaction of the transcript with its name, so that it is found
// again.
func (c *conversation) covered(compaction Compaction) Compaction {
	compaction.Covered = max(compaction.Cut, compaction.Short, compaction.Capped)
	compaction.Hash = newNaming().add(c.all, compaction.Covered)
	return compaction
}

// recall applies what is kept of a session, if it is about this transcript and not
// about another branch: the longest beginning counts.
func (l *loop) recall(ctx context.Context, sessionID string) {
	l.session = sessionID
	if l.agent.opts.Compactions == nil {
		return
	}
	kept, err := l.agent.opts.Compactions.Compactions(ctx, sessionID)
	if err != nil {
		// The record of the turn meets the same database, and decides.
		l.agent.opts.Log.Warn("what was made short before is not known", "session_id", sessionID, "error", err)
		return
	}
	slices.SortFunc(kept, func(a, b Compaction) int { return a.Covered - b.Covered })
	var found Compaction
	name := newNaming()
	for _, compaction := range kept {
		if compaction.fits(l.talk.all) && bytes.Equal(compaction.Hash, name.add(l.talk.all, compaction.Covered)) {
			found = compaction
		}
	}
	if found.Covered > 0 {
		l.talk.show(found)
	}
}

// compact makes the view shorter, and keeps how.
func (l *loop) compact(ctx context.Context, compaction Compaction) {
	before := l.size()
	compaction = l.talk.covered(compaction)
	l.talk.show(compaction)
	l.agent.opts.Log.Info("context compacted", "run_id", l.result.RunID, "session_id", l.session,
		"tokens_before", before, "tokens_after", l.size(), "messages", compaction.Covered, "summarised", compaction.Cut,
		"dropped", compaction.Dropped)
	if l.agent.opts.Compactions == nil || l.session == "" {
		return
	}
	err := l.record(ctx, "compaction", func(ctx context.Context) error {
		return l.agent.opts.Compactions.KeepCompaction(ctx, l.session, compaction)
	})
	if err != nil {
		l.agent.opts.Log.Warn("compaction is not kept", "session_id", l.session, "error", err)
	}
}

// size estimates the tokens of the next request.
func (l *loop) size() int { return l.talk.size(l.toolTokens, l.agent.known.ratio()) }
