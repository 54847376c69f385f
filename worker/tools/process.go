package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"hermes/worker/llm"
)

// The limits of process.
const (
	maxWait     = 10 * time.Minute
	maxLogLines = 2000
	// maxTyped is how many bytes may be typed at once.
	maxTyped = 64 << 10
)

// The keys of a terminal.
const (
	enterKey  = "\r"
	endOfFile = "\x04" // Ctrl-D
)

// process is the tool that follows and steers background jobs.
type process struct {
	spec     llm.ToolSpec
	jobs     *jobs
	approval *approval
}

func newProcess(jobs *jobs, approval *approval) *process {
	return &process{mustSpec("process"), jobs, approval}
}

func (t *process) Spec() llm.ToolSpec { return t.spec }

func (t *process) Emoji() string { return "⚙️" }

// processArguments are the arguments of process.
type processArguments struct {
	Action    string  `json:"action"`
	SessionID string  `json:"session_id"`
	Data      *string `json:"data"`
	Timeout   float64 `json:"timeout"`
	Offset    int64   `json:"offset"`
	Limit     int64   `json:"limit"`
}

func (t *process) Label(input json.RawMessage) string {
	arguments, err := decode[processArguments](input)
	if err != nil {
		return ""
	}
	label := arguments.Action + " " + arguments.SessionID
	if arguments.Action == "wait" {
		label += fmt.Sprintf(" %.0fs", arguments.Timeout)
	}
	return strings.TrimSpace(label)
}

func (t *process) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[processArguments](input)
	if err != nil {
		return Result{}, err
	}
	if arguments.Action == "list" {
		return t.list(ctx), nil
	}
	live, record, problem := t.jobs.find(ctx, arguments.SessionID)
	if problem != "" {
		return Failure(problem), nil
	}
	switch arguments.Action {
	case "poll":
		return t.news(live, record), nil
	case "log":
		return t.log(live, record, arguments), nil
	case "wait":
		return t.wait(ctx, live, record, arguments.Timeout)
	case "kill":
		return t.kill(ctx, live, record)
	default: // write, submit, close: the schema knows no other
		return t.enter(ctx, live, record, arguments), nil
	}
}

// list shows all jobs.
func (t *process) list(ctx context.Context) Result {
	all, err := t.jobs.list(ctx)
	var text strings.Builder
	now := time.Now()
	for _, job := range all {
		text.WriteString(job.line(now) + "\n")
	}
	switch {
	case err != nil:
		return Failure(text.String() + "The records of the jobs cannot be read: " + err.Error() + ".")
	case len(all) == 0:
		return Result{Text: "There are no background jobs. terminal starts one with background true."}
	default:
		return Result{Text: text.String()}
	}
}

// news shows what a job has written since the last time, and how it is.
func (t *process) news(live *job, record Job) Result {
	record, v := now(live, record)
	text := ended(t.jobs.news(record.ID, v))
	if text == "" {
		text = "(nothing new)\n"
	}
	return Result{Text: text + foot(record)}
}

// now returns what there is of a job, which may have ended since it was found.
func now(live *job, record Job) (Job, view) {
	if live == nil {
		return record, viewOf(record)
	}
	select {
	case <-live.done:
		return live.final, viewOf(live.final)
	default:
		return record, live.command.output.view(maxTail)
	}
}

// foot says which job a result is about, and how it is.
func foot(record Job) string { return "[" + record.ID + ": " + record.state(time.Now()) + "]\n" }

// log shows lines of the output.
func (t *process) log(live *job, record Job, arguments processArguments) Result {
	record, v := now(live, record)
	limit := min(max(arguments.Limit, 1), maxLogLines)
	return Result{Text: v.page(arguments.Offset, limit) + foot(record)}
}

// wait waits for the end of a job, but not longer than for so many seconds.
func (t *process) wait(ctx context.Context, live *job, record Job, seconds float64) (Result, error) {
	if live != nil {
		timer := time.NewTimer(min(time.Duration(max(seconds, 0)*float64(time.Second)), maxWait))
		defer timer.Stop()
		select {
		case <-live.done:
		case <-timer.C:
		case <-ctx.Done():
			return Result{}, context.Cause(ctx)
		}
	}
	return t.news(live, record), nil
}

// kill ends a job.
func (t *process) kill(ctx context.Context, live *job, record Job) (Result, error) {
	if live == nil {
		return Result{Text: record.ID + " runs no more: " + record.state(time.Now()) + "."}, nil
	}
	t.jobs.stop(live, "killed")
	select {
	case <-live.done:
		return t.news(live, record), nil
	case <-ctx.Done():
		return Result{}, context.Cause(ctx)
	}
}

// typed is what is to be typed.
func (a processArguments) typed() string {
	switch {
	case a.Action == "close":
		return endOfFile
	case a.Data == nil:
		return ""
	case a.Action == "submit":
		return *a.Data + enterKey
	default:
		return *a.Data
	}
}

// denies is for who watches: see gated.
func (t *process) denies(ctx context.Context, input json.RawMessage) (words string, denied bool) {
	arguments, err := decode[processArguments](input)
	if err != nil {
		return "", false
	}
	switch arguments.Action {
	case "write", "submit":
	default:
		return "", false
	}
	live, record, problem := t.jobs.find(ctx, arguments.SessionID)
	if problem != "" || live == nil || !record.Terminal {
		return "", false
	}
	return t.approval.deniesTyped(live, arguments.typed())
}

// enter types into the terminal of a job.
func (t *process) enter(ctx context.Context, live *job, record Job, arguments processArguments) Result {
	if live == nil {
		return Failure(record.ID + " runs no more: " + record.state(time.Now()) + ".")
	}
	if !record.Terminal {
		return Failure(record.ID + " has no terminal to type into. Start the command with pty true, or give it its input with a file or a pipe.")
	}
	if arguments.Action != "close" && arguments.Data == nil {
		return Failure("The argument data is missing; it is the text to type.")
	}
	typed := arguments.typed()
	switch {
	case typed == "":
		return Failure("The argument data is empty; submit alone presses Enter.")
	case len(typed) > maxTyped:
		return Failure(fmt.Sprintf("That is too much to type, %d bytes of %d. Put it into a file.", len(typed), maxTyped))
	}
	if denied := t.approval.askTyped(ctx, t.spec.Name, live, typed); denied != nil {
		return *denied
	}
	n, err := live.command.running.Write([]byte(typed))
	switch {
	case errors.Is(err, os.ErrProcessDone):
		return Failure(record.ID + " has just ended. process poll tells how.")
	case err != nil:
		return Failure(fmt.Sprintf("%s does not read its input: %d of %d bytes were typed (%s).", record.ID, n, len(typed), err))
	}
	return Result{Text: fmt.Sprintf("Typed. process poll shows what %s says to it.", record.ID)}
}
