package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"hermes/supervisor/sandbox"
	"hermes/worker/llm"
)

// The limits of a command.
const (
	defaultTimeout = 3 * time.Minute
	maxTimeout     = 10 * time.Minute
	// maxCommandOutput is what the model gets to read of the output, in bytes.
	maxCommandOutput = 30_000
)

// terminal is the tool that runs shell commands.
type terminal struct {
	spec        llm.ToolSpec
	workspace   *workspace
	sandbox     *sandbox.Sandbox
	approval    *approval
	shell       string
	env         []string
	timeout     time.Duration
	spills      *spills
	directories directories
	// jobs are where commands go on in the background; nil if there is no tool
	// that could follow them there.
	jobs *jobs
}

// newTerminal looks for the shell: bash, because models write for it, else sh.
func newTerminal(opts Options, w *workspace, approval *approval, jobs *jobs) (*terminal, error) {
	home := cmp.Or(opts.Home, w.dir("."))
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("make home of commands: %w", err)
	}
	env := Environment(opts.Environ, home)
	path := strings.TrimPrefix(env[0], "PATH=")
	return &terminal{
		spec:      mustSpec("terminal"),
		workspace: w,
		sandbox:   opts.Sandbox,
		approval:  approval,
		shell:     cmp.Or(program("bash", path), program("sh", path), "/bin/sh"),
		env:       env,
		timeout:   min(cmp.Or(max(opts.TerminalTimeout, 0), defaultTimeout), maxTimeout),
		spills:    newSpills(w, opts.Log),
		jobs:      jobs,
	}, nil
}

func (t *terminal) Spec() llm.ToolSpec { return t.spec }

func (t *terminal) Emoji() string { return "💻" }

// terminalArguments are the arguments of terminal.
type terminalArguments struct {
	Command    string  `json:"command"`
	Background bool    `json:"background"`
	Timeout    float64 `json:"timeout"`
	Workdir    string  `json:"workdir"`
	PTY        bool    `json:"pty"`
}

func (t *terminal) Label(input json.RawMessage) string {
	arguments, err := decode[terminalArguments](input)
	if err != nil {
		return ""
	}
	return firstLine(arguments.Command)
}

// denies is for who watches: see gated.
func (t *terminal) denies(ctx context.Context, input json.RawMessage) (words string, denied bool) {
	arguments, err := decode[terminalArguments](input)
	if err != nil || strings.TrimSpace(arguments.Command) == "" {
		return "", false
	}
	rel, problem := t.workspace.rel(cmp.Or(arguments.Workdir, "."))
	if problem != "" {
		return "", false
	}
	dir := t.workspace.dir(rel)
	if arguments.Workdir == "" {
		if kept := t.directories.of(TurnOf(ctx).SessionID); kept != "" && enterable(kept) {
			dir = kept
		}
	}
	verdict := t.approval.judge(arguments.Command, dir)
	return verdict.Words, verdict.Denied
}

func (t *terminal) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[terminalArguments](input)
	if err != nil {
		return Result{}, err
	}
	r, problem := t.request(ctx, arguments)
	if problem != "" {
		return Failure(problem), nil
	}
	if ctx.Err() != nil {
		return Failure("(no output)\n[cancelled]\n"), nil
	}
	// From here on r is what will run, where and how.
	if denied := t.approval.ask(ctx, t.spec.Name, r.command, t.approval.judge(r.command, r.dir)); denied != nil {
		return *denied, nil
	}
	switch {
	case r.background:
		return t.runBackground(ctx, r), nil
	default:
		return t.runForeground(ctx, r), nil
	}
}

// request is a command as it will run.
type request struct {
	id         string
	command    string // what the shell is given, but for the report at its end
	dir        string // absolute
	session    string // whose directory the command may change, "" if it may not
	background bool
	pty        bool
	timeout    time.Duration
	notes      []string // what the model is told beside the output
}

// request checks the arguments. The problem is a sentence for the model.
func (t *terminal) request(ctx context.Context, arguments terminalArguments) (r request, problem string) {
	switch {
	case strings.TrimSpace(arguments.Command) == "":
		return r, "The command is empty."
	case strings.ContainsRune(arguments.Command, 0):
		return r, "The command holds a NUL character, which no shell takes."
	case arguments.Background && t.jobs == nil:
		return r, "Nothing can run in the background, because the tool process is not enabled."
	}
	r = request{id: newJobID(), command: arguments.Command, background: arguments.Background, pty: arguments.PTY}
	r.timeout = t.limit(&r, arguments.Timeout)
	if arguments.Workdir != "" {
		r.dir, problem = t.dir(arguments.Workdir)
		return r, problem
	}
	session := TurnOf(ctx).SessionID
	r.dir = t.directories.of(session)
	if r.dir != "" && !enterable(r.dir) {
		r.notes = append(r.notes, "the working directory "+r.dir+" is gone; this ran in the workspace")
		t.directories.set(session, "")
		r.dir = ""
	}
	if r.dir == "" {
		r.dir = t.workspace.dir(".")
	}
	if !r.background {
		r.session = session
	}
	return r, ""
}

// dir is the absolute directory to run in.
func (t *terminal) dir(workdir string) (dir, problem string) {
	rel, problem := t.workspace.rel(workdir)
	if problem != "" {
		return "", problem
	}
	info, err := t.workspace.root.Stat(rel)
	switch {
	case err != nil:
		return "", "workdir: " + t.workspace.explain(rel, err)
	case !info.IsDir():
		return "", "workdir: " + rel + " is no directory."
	default:
		return t.workspace.dir(rel), ""
	}
}

// limit is the timeout of a command that asked for so many seconds. The model is
// told when it gets less.
func (t *terminal) limit(r *request, seconds float64) time.Duration {
	switch {
	case seconds <= 0:
		return t.timeout
	case seconds > maxTimeout.Seconds():
		if !r.background {
			r.notes = append(r.notes, fmt.Sprintf("the timeout was set to %d s, the longest there is", int(maxTimeout.Seconds())))
		}
		return maxTimeout
	default:
		return time.Duration(seconds * float64(time.Second))
	}
}
