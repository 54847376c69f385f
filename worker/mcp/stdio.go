package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"hermes/supervisor/sandbox"
)

const (
	// exitWait is how long a server may take to end once its input is closed.
	exitWait = time.Second
	// writeTimeout is when a server is given up that does not read what it is sent.
	writeTimeout = 10 * time.Second
)

// process is a server that runs as a command. It is kept among the jobs of the
// sandbox, so that the end of other commands leaves it alone, and it dies with the
// worker, with all that it has started.
type process struct {
	running *sandbox.Running
	stdin   *os.File
	stdout  *io.PipeReader
	words   *words
	closing sync.Once
}

// start starts the command of a server.
func (s *server) start(ctx context.Context) (*process, error) {
	env := environment(s.owner.opts.Environ, s.config.Env)
	program, err := lookUp(s.config.Command, env)
	if err != nil {
		return nil, err
	}
	dir := s.config.directory(s.owner.opts.Workspace)
	input, stdin, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer input.Close()
	stdout, output := io.Pipe()
	said, printed := s.newWords(), s.newWords()
	reads, writes := places(program, s.config.Args, dir)
	running, err := s.owner.opts.Sandbox.Start(ctx, sandbox.Command{
		Argv: append([]string{program}, s.config.Args...), Dir: dir, Env: env, CallID: "mcp-" + s.config.Name,
		Stdin: input, Stdout: &messages{to: output, other: printed}, Output: said,
		Online: s.config.Online, Reads: reads, Writes: writes,
	})
	if err != nil {
		return nil, errors.Join(err, stdin.Close())
	}
	running.Keep()
	p := &process{running: running, stdin: stdin, stdout: stdout, words: said}
	s.owner.wg.Go(func() {
		<-running.Done()
		_ = output.Close()
	})
	return p, nil
}

// environment puts the variables of a server above those of all commands.
func environment(common []string, own map[string]string) []string {
	env := slices.DeleteFunc(slices.Clone(common), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, replaced := own[name]
		return replaced
	})
	for _, name := range slices.Sorted(maps.Keys(own)) {
		env = append(env, name+"="+own[name])
	}
	return env
}

// lookUp finds a program in the PATH that the server will have.
func lookUp(command string, env []string) (string, error) {
	if strings.ContainsRune(command, '/') {
		if _, err := os.Stat(command); err != nil {
			return "", fmt.Errorf("its command %s cannot be started: %w", command, errors.Unwrap(err))
		}
		return command, nil
	}
	for _, entry := range env {
		path, found := strings.CutPrefix(entry, "PATH=")
		if !found {
			continue
		}
		for _, dir := range filepath.SplitList(path) {
			file := filepath.Join(dir, command)
			if info, err := os.Stat(file); err == nil && filepath.IsAbs(file) && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 {
				return file, nil
			}
		}
	}
	return "", fmt.Errorf("its command %s is not on the PATH; install it, or write its path in full", command)
}

// reader is where the messages of the server come from. It ends with the process.
func (p *process) reader() io.ReadCloser { return io.NopCloser(p.stdout) }

// Write sends a message. A server that does not read is given up.
func (p *process) Write(data []byte) (int, error) {
	if err := p.stdin.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, fmt.Errorf("send message: %w", err)
	}
	return p.stdin.Write(data)
}

// Close ends the process as the protocol wants it: its input ends, and when it
// does not end by itself then, it is told to, and killed.
func (p *process) Close() error {
	p.closing.Do(func() {
		_ = p.stdin.Close()
		// What it still says must not keep it from ending.
		go func() { _, _ = io.Copy(io.Discard, p.stdout) }()
		timer := time.NewTimer(exitWait)
		defer timer.Stop()
		select {
		case <-p.running.Done():
			return
		case <-timer.C:
			p.running.Stop()
		}
	})
	<-p.running.Done()
	return nil
}

// endedBy says how the process ended by itself, or nil if it still runs a moment
// from now: its output ends before it does.
func (p *process) endedBy() error {
	timer := time.NewTimer(exitWait)
	defer timer.Stop()
	select {
	case <-p.running.Done():
		return p.ending()
	case <-timer.C:
		return nil
	}
}

// ending says how the process has ended.
func (p *process) ending() error {
	out := p.running.Output()
	how := out.Ending()
	switch {
	case how == "":
		how = "it ended by itself"
	case out.ExitCode != 0 && out.Signal == "":
		how = "it ended with " + how
	default:
		how = "it was " + how
	}
	return errors.New(how + p.lastWords())
}

// lastWords is what the process wrote last to its standard error, as a clause.
func (p *process) lastWords() string {
	if last := p.words.lastLine(); last != "" {
		return ": " + last
	}
	return ""
}
