package agent

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

//go:embed summary.md
var summaryRules string

const (
	// summaryRest is how long no summary is tried after one that failed.
	summaryRest = 5 * time.Minute
	// mustShrink is what may be left of a transcript for a summary to be worth it.
	mustShrink = 0.85

	// How much of a message the one who summarises reads.
	readText      = 6_000
	readArguments = 600
	readResult    = 1_500
	maxTaskShown  = 300
)

// errNoSummary says why there is none.
var (
	errEmptySummary = errors.New("the model wrote no summary")
	errLongSummary  = errors.New("the summary is not shorter than what it stands for")
)

// summarise has the model write down what is old. When that fails nothing is
// changed, and it is not tried again for a while. Its error ends the turn.
func (l *loop) summarise(ctx context.Context, r room) error {
	now := l.agent.opts.Now()
	cut := l.cutFor(r.estimated(tailShare))
	if cut <= l.talk.done.Cut || l.summaries >= maxSummaries || l.agent.known.resting(now) {
		return nil
	}
	without := l.talk.done
	without.Cut = cut
	if !l.shrinks(l.refer(ctx, r, without)) {
		return nil // not even if nothing had to be said of what is old
	}
	l.summaries++
	compaction, err := l.summarised(ctx, r, cut)
	if ctx.Err() != nil {
		return cancelled(ctx)
	}
	if err != nil {
		l.agent.opts.Log.Warn("conversation was not summarised", "run_id", l.result.RunID, "error", l.agent.opts.Redact(err.Error()))
		l.agent.known.rest(now.Add(summaryRest))
		return nil
	}
	l.compact(ctx, compaction)
	return nil
}

// summarised makes the compaction that a summary allows.
func (l *loop) summarised(ctx context.Context, r room, cut int) (Compaction, error) {
	text, err := l.askSummary(ctx, r, cut)
	if err != nil {
		return Compaction{}, err
	}
	compaction := l.talk.done
	compaction.Cut, compaction.Summary = cut, text
	if len(text) > 2*r.estimated(oldShare)*bytesPerToken {
		return Compaction{}, errLongSummary
	}
	if compaction = l.refer(ctx, r, compaction); !l.shrinks(compaction) {
		return Compaction{}, errLongSummary
	}
	return compaction, nil
}

// shrinks reports whether a compaction is worth it.
func (l *loop) shrinks(compaction Compaction) bool {
	before := l.talk.tokens - tokensOfAll(l.talk.system)
	return float64(before-l.saves(compaction)) <= mustShrink*float64(before)
}

// askSummary has the model summarise what is before the cut: one call, without
// tools, with as little thinking as it does.
func (l *loop) askSummary(ctx context.Context, r room, cut int) (string, error) {
	words := min(max(r.estimated(oldShare)/2, 80), 800)
	source := cutMiddle(l.source(cut), max((r.usable-r.reply)*2, 2_000)) // two bytes for a token are on the safe side
	request := llm.Request{
		Messages: []llm.Message{
			llm.TextMessage(llm.System, summaryRules),
			llm.TextMessage(llm.User, fmt.Sprintf("<conversation>\n%s\n</conversation>\n\nWrite the notes, in at most %d words.", source, words)),
		},
		MaxTokens:       r.reply,
		ReasoningEffort: "low",
	}
	if l.agent.known.noEffort.Load() {
		request.ReasoningEffort = ""
	}
	message, err := l.agent.opts.Client.Stream(ctx, request, unheard)
	if request.ReasoningEffort != "" && llm.ClassOf(err) == llm.BadRequest && ctx.Err() == nil {
		request.ReasoningEffort = ""
		if message, err = l.agent.opts.Client.Stream(ctx, request, unheard); err == nil {
			l.agent.known.noEffort.Store(true)
		}
	}
	l.result.Usage = l.result.Usage.Add(message.Usage)
	if err != nil {
		return "", err
	}
	text := message.Text()
	if _, after, thought := strings.Cut(text, "</think>"); thought {
		text = after
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", errEmptySummary
	case len(text) > len(source)/2:
		return "", errLongSummary
	}
	return text, nil
}

// unheard takes events that nobody is shown.
func unheard(llm.Event) error { return nil }

// source is what a summary is made of: the one before, and what has come since.
func (l *loop) source(cut int) string {
	var text strings.Builder
	if before := l.talk.done.Summary; before != "" {
		text.WriteString("Earlier summary:\n" + before + "\n\n")
	}
	names := map[string]string{}
	for _, m := range l.talk.all[l.talk.done.Cut:cut] {
		switch m.Role {
		case llm.User:
			who := "Person"
			if m.Note {
				who = "Note of the server"
			}
			text.WriteString(who + ": " + cutMiddle(m.Text(), readText) + "\n")
		case llm.Assistant:
			if said := m.Text(); said != "" {
				text.WriteString("Assistant: " + cutMiddle(said, readText) + "\n")
			}
			for _, call := range m.ToolCalls {
				names[call.ID] = call.Name
				text.WriteString("Assistant called " + call.Name + " with " + cutMiddle(call.Arguments, readArguments) + "\n")
			}
		case llm.Tool:
			text.WriteString("Result of " + orSomeTool(names[m.ToolCallID]) + ": " + cutMiddle(m.Text(), readResult) + "\n")
		case llm.System:
		}
	}
	return text.String()
}

// parts are what a reference is made of.
type parts struct {
	summary string
	dropped bool
	said    []string // by the person, oldest first
	tasks   []string
}

// reference is the message that stands for what is not sent any more. It is worded
// as a record: a model that takes a summary for a task begins it anew.
func reference(p parts) string {
	var text strings.Builder
	text.WriteString("[For reference only: a record of the earlier part of this conversation, which is not shown in full any more. " +
		"It asks for nothing. What to do now follows from the person's newest message and what came after it.]\n")
	if p.summary != "" {
		text.WriteString("\nWhat happened:\n" + p.summary + "\n")
	}
	if p.dropped {
		text.WriteString("\nA part of the conversation was left out without a summary, because it did not fit. " +
			"What was said and found there is not known here; if it matters, look it up or ask.\n")
	}
	if len(p.said) > 0 {
		text.WriteString("\nEarlier messages of the person, oldest first (all were answered or are answered below):\n")
		for _, said := range p.said {
			text.WriteString("- " + said + "\n")
		}
	}
	if len(p.tasks) > 0 {
		text.WriteString("\nOpen tasks of the to-do list at that time:\n" + strings.Join(p.tasks, "\n") + "\n")
	}
	text.WriteString("\n[End of the record]")
	return text.String()
}

// said are the person's messages between two places, the newest ones that the
// budget has room for. The message that the rest goes on from stands there itself.
func said(all []llm.Message, first, cut, budget int) []string {
	var texts []string
	end := cut
	if !all[cut].FromPerson() {
		end = lastUser(all[:cut])
	}
	for i := end - 1; i > first; i-- {
		text := all[i].Text()
		if !all[i].FromPerson() || text == "" {
			continue
		}
		text = cutMiddle(text, budget*bytesPerToken/2)
		if budget -= len(text)/bytesPerToken + messageTokens; budget < 0 {
			texts = append(texts, "(older ones are left out)")
			break
		}
		texts = append(texts, text)
	}
	slices.Reverse(texts)
	return texts
}

// openTasks are the session's tasks that are not done, in so many bytes.
func (l *loop) openTasks(ctx context.Context, bytes int) []string {
	if l.agent.opts.Tasks == nil {
		return nil
	}
	open, err := tools.OpenTasks(ctx, l.agent.opts.Tasks, l.session)
	if err != nil {
		l.agent.opts.Log.Warn("tasks are not told again", "session_id", l.session, "error", err)
		return nil
	}
	var lines []string
	for i, task := range open {
		line := fmt.Sprintf("- %s [%s] %s", task.ID, task.Status, clipped(task.Content, maxTaskShown))
		if bytes -= len(line); bytes < 0 {
			return append(lines, fmt.Sprintf("- and %d more, which todo lists", len(open)-i))
		}
		lines = append(lines, line)
	}
	return lines
}
