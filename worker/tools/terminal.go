package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
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
	spec      llm.ToolSpec
	workspace *workspace
	sandbox   *sandbox.Sandbox
	shell     string
	env       []string
	timeout   time.Duration
}

// newTerminal looks for the shell: bash, because models write for it, else sh.
func newTerminal(opts Options, w *workspace) (*terminal, error) {
	home := cmp.Or(opts.Home, w.dir("."))
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, fmt.Errorf("make home of commands: %w", err)
	}
	env := environment(opts.Environ, home)
	path := strings.TrimPrefix(env[0], "PATH=")
	return &terminal{
		spec:      mustSpec("terminal"),
		workspace: w,
		sandbox:   opts.Sandbox,
		shell:     cmp.Or(program("bash", path), program("sh", path), "/bin/sh"),
		env:       env,
		timeout:   min(cmp.Or(max(opts.TerminalTimeout, 0), defaultTimeout), maxTimeout),
	}, nil
}

// environment is all that a command gets to see of variables, PATH first.
func environment(environ []string, home string) []string {
	values := make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = value
	}
	env := []string{
		"PATH=" + cmp.Or(values["PATH"], "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
		"HOME=" + home,
		"LANG=" + cmp.Or(values["LANG"], "C.UTF-8"),
		"TERM=dumb",
	}
	if zone := values["TZ"]; zone != "" {
		env = append(env, "TZ="+zone)
	}
	if who, err := user.Current(); err == nil && who.Username != "" {
		env = append(env, "USER="+who.Username, "LOGNAME="+who.Username)
	}
	return env
}

// program finds an executable file in path, or returns "".
func program(name, path string) string {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		if err == nil && filepath.IsAbs(file) && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
			return file
		}
	}
	return ""
}

func (t *terminal) Spec() llm.ToolSpec { return t.spec }

func (t *terminal) Emoji() string { return "💻" }

// terminalArguments are the arguments of terminal.
type terminalArguments struct {
	Command string  `json:"command"`
	Timeout float64 `json:"timeout"`
	Workdir string  `json:"workdir"`
}

func (t *terminal) Label(input json.RawMessage) string {
	arguments, err := decode[terminalArguments](input)
	if err != nil {
		return ""
	}
	return firstLine(arguments.Command)
}

func (t *terminal) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[terminalArguments](input)
	if err != nil {
		return Result{}, err
	}
	if strings.TrimSpace(arguments.Command) == "" {
		return Failure("The command is empty."), nil
	}
	if strings.ContainsRune(arguments.Command, 0) {
		return Failure("The command holds a NUL character, which no shell takes."), nil
	}
	dir, problem := t.dir(arguments.Workdir)
	if problem != "" {
		return Failure(problem), nil
	}
	timeout, note := t.limit(arguments.Timeout)
	out, err := t.sandbox.Run(ctx, sandbox.Command{
		Argv: []string{t.shell, "-c", arguments.Command}, Dir: dir, Env: t.env,
		Timeout: timeout, CallID: callID(ctx), MaxOutput: maxCommandOutput,
	})
	if err != nil {
		return Failure(fmt.Sprintf("The command could not be started: %s.", err)), nil
	}
	text := out.Text
	if text == "" {
		text = "(no output)\n"
	} else if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if note != "" {
		text += "[" + note + "]\n"
	}
	ending := out.Ending()
	if ending != "" {
		text += "[" + ending + "]\n"
	}
	return Result{Text: text, Failed: ending != ""}, nil
}

// dir is the absolute directory to run in.
func (t *terminal) dir(workdir string) (dir, problem string) {
	rel, problem := t.workspace.rel(cmp.Or(workdir, "."))
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

// limit is the timeout of a command that asked for so many seconds, and what to
// tell the model when it gets less.
func (t *terminal) limit(seconds float64) (timeout time.Duration, note string) {
	switch {
	case seconds <= 0:
		return t.timeout, ""
	case seconds > maxTimeout.Seconds():
		return maxTimeout, fmt.Sprintf("the timeout was set to %d s, the longest there is", int(maxTimeout.Seconds()))
	default:
		return time.Duration(seconds * float64(time.Second)), ""
	}
}
