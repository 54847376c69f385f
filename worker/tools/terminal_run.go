package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hermes/supervisor/sandbox"
)

// start starts the command of a request.
func (t *terminal) start(ctx context.Context, r request) (*started, error) {
	c := &started{output: newOutput(r.id, t.spills)}
	c.cleaner = &sandbox.Cleaner{To: c.output, Terminal: r.pty}
	script, env := r.command, t.env
	command := sandbox.Command{Dir: r.dir, CallID: callID(ctx), Output: c.cleaner, PTY: r.pty}
	if r.session != "" {
		report, err := newReport()
		if err != nil {
			return nil, fmt.Errorf("start command: %w", err)
		}
		c.report, command.ExtraFiles, script = report, report.files(), reporting(script)
	}
	if r.pty {
		// A pager would wait for keys that nobody presses.
		env = append(slices.Clone(env), "PAGER=cat")
	}
	command.Argv, command.Env = []string{t.shell, "-c", script}, env
	running, err := t.sandbox.Start(ctx, command)
	if err != nil {
		c.release()
		return nil, err
	}
	if c.report != nil {
		c.report.started()
	}
	c.running = running
	return c, nil
}

// job is the record of a request that becomes one.
func (r request) job(ctx context.Context, began time.Time) Job {
	turn := TurnOf(ctx)
	return Job{
		ID: r.id, SessionID: turn.SessionID, RunID: turn.RunID,
		Command: r.command, Dir: r.dir, Terminal: r.pty, Began: began,
	}
}

// runBackground starts a command and makes a job of it at once.
func (t *terminal) runBackground(ctx context.Context, r request) Result {
	if problem := t.jobs.room(); problem != "" {
		return Failure("The command was not run. " + problem)
	}
	began := time.Now()
	c, err := t.start(ctx, r)
	if err != nil {
		return notStarted(err)
	}
	if problem := t.jobs.adopt(ctx, r.job(ctx, began), c, 0); problem != "" {
		c.running.Stop()
		c.end()
		c.release()
		return Failure("The command was stopped right away. " + problem)
	}
	return Result{Text: "Runs in the background as " + r.id + ".\n" + notes(r.notes) + followNote}
}

// followNote tells a model what to do about a job.
const followNote = "[process poll, log, wait and kill with its id as session_id follow it]\n"

// runForeground runs a command to its end, to the end of the turn, or until its
// timeout, when it becomes a job.
func (t *terminal) runForeground(ctx context.Context, r request) Result {
	began := time.Now()
	c, err := t.start(ctx, r)
	if err != nil {
		return notStarted(err)
	}
	timer := time.NewTimer(r.timeout)
	defer timer.Stop()
	timedOut := false
	select {
	case <-c.running.Done():
	case <-ctx.Done():
	case <-timer.C:
		timedOut = ctx.Err() == nil
	}
	if timedOut {
		text, seen := c.output.digest()
		problem := t.goOn(ctx, r.job(ctx, began), c, seen)
		if problem == "" {
			return Result{Text: ended(text) + notes(r.notes) + fmt.Sprintf(
				"[still running after %s; it goes on in the background as %s]\n", duration(r.timeout), r.id) + followNote}
		}
		r.notes = append(r.notes, "it could not go on in the background: "+problem)
	}
	c.running.Stop() // nothing if it has ended
	out := c.end()
	defer c.release()
	out.Cancelled, out.TimedOut = out.Cancelled && !timedOut, out.Cancelled && timedOut
	return t.result(r, c, out)
}

// goOn makes a job of a command whose time is over.
func (t *terminal) goOn(ctx context.Context, job Job, c *started, seen int64) (problem string) {
	if t.jobs == nil {
		return "the tool process is not enabled"
	}
	return t.jobs.adopt(ctx, job, c, seen)
}

// result is what the model is told of a command that has ended.
func (t *terminal) result(r request, c *started, out sandbox.Output) Result {
	if c.report != nil {
		if dir := c.report.read(); dir != "" && dir != r.dir {
			if dir == t.workspace.dir(".") {
				t.directories.set(r.session, "")
			} else {
				t.directories.set(r.session, dir)
			}
			r.notes = append(r.notes, "the working directory is now "+dir)
		}
	}
	text, _ := c.output.digest()
	if text == "" {
		text = "(no output)"
	}
	ending := out.Ending()
	if ending != "" {
		r.notes = append(r.notes, ending)
	}
	return Result{Text: ended(text) + notes(r.notes), Failed: ending != ""}
}

// notes are lines that are no output.
func notes(lines []string) string {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString("[" + line + "]\n")
	}
	return text.String()
}

func notStarted(err error) Result {
	return Failure(fmt.Sprintf("The command could not be started: %s.", err))
}
