package tools

import (
	"context"
	"strings"
	"sync"
	"unicode"

	"hermes/worker/policy"
)

// maxTranscript is how many bytes may be typed into a shell in all: what was typed
// before decides what the next line means, so all of it is judged.
const maxTranscript = 100 << 10

// typing is what was typed into the terminal of a job, if that takes commands.
type typing struct {
	mu    sync.Mutex // guards what follows
	lines string     // that the shell has
	line  string     // the last one, without its Enter
}

// typed is what typing something would lead to.
type typed struct {
	lines, line string
	command     string         // what would run; "" if nothing does yet
	verdict     policy.Verdict // about command
	unknown     bool           // keys whose effect on the line nobody can tell
}

// afterTyping says what it would lead to that something is typed into a job. The
// caller holds the lock of the job's typing.
func (a *approval) afterTyping(job *job, text string) typed {
	next := typed{lines: job.typing.lines, line: job.typing.line}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.ReplaceAll(text, "\r", "\n")
	for {
		i := strings.IndexAny(text, "\x03\x04\x15")
		if i < 0 {
			break
		}
		// Ctrl-C and Ctrl-U take the line away, Ctrl-D ends the input. What was
		// complete by then has run.
		if j := strings.LastIndexByte(text[:i], '\n'); j >= 0 {
			next.command += next.line + text[:j+1]
			next.line = ""
		}
		if text[i] == '\x04' {
			next.command += next.line + text[strings.LastIndexByte(text[:i], '\n')+1:i]
		}
		next.line, text = "", text[i+1:]
	}
	next.unknown = strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' })
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		next.command += next.line + text[:i+1]
		next.line, text = "", text[i+1:]
	}
	next.line += text
	if next.command != "" {
		next.verdict = a.policy.Judge(next.lines+next.command, job.begun.Dir)
		next.lines += strings.TrimSuffix(next.command, "\n") + "\n"
	}
	return next
}

// takesCommands reports whether what is typed into the job is judged.
func (a *approval) takesCommands(job *job) bool {
	return a.policy.TakesCommands(job.begun.Command, job.begun.Dir)
}

// deniesTyped is for who watches.
func (a *approval) deniesTyped(job *job, text string) (words string, denied bool) {
	if !a.takesCommands(job) {
		return "", false
	}
	job.typing.mu.Lock()
	defer job.typing.mu.Unlock()
	next := a.afterTyping(job, text)
	return next.verdict.Words, next.verdict.Denied
}

// askTyped decides about text that is to be typed into a job, and keeps the
// decision if the text makes a command run. Text without an Enter waits for it. A
// line that was denied stays in the terminal, and is denied with each Enter until
// Ctrl-U or Ctrl-C takes it away.
func (a *approval) askTyped(ctx context.Context, tool string, job *job, text string) (denied *Result) {
	if !a.takesCommands(job) {
		return nil
	}
	job.typing.mu.Lock()
	defer job.typing.mu.Unlock()
	next := a.afterTyping(job, text)
	switch {
	case next.unknown:
		result := Failure("Denied, nothing was typed: a shell reads it, and keys other than text, Enter, Ctrl-C, Ctrl-D and Ctrl-U can make a command of it that cannot be judged.")
		return &result
	case len(next.lines)+len(next.line) > maxTranscript:
		result := Failure("Denied, nothing was typed: too much was typed into this shell. Start another one.")
		return &result
	}
	if next.command != "" {
		if denied := a.ask(ctx, tool, next.command, next.verdict); denied != nil {
			return denied
		}
	}
	job.typing.lines, job.typing.line = next.lines, next.line
	return nil
}
