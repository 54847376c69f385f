package attack

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
)

const (
	// runTimeout bounds all attacks together, attackTimeout one of them: what waits
	// that long has reached nothing.
	runTimeout    = 30 * time.Second
	attackTimeout = 2 * time.Second
	// maxReport is how much the attackers may say.
	maxReport = 1 << 20
)

// attack is something that a command must not be able to do.
type attack struct {
	name string
	// try returns nil if it has done it. What it does to its thread is forgotten.
	try func(s *scene) error
	// apart has it tried by a process of its own, which it may end.
	apart bool
}

// attacks are all of them.
func attacks() []attack {
	return slices.Concat(readings(), writings(), onProcesses(), onKernel(), onMachine(), onSockets())
}

// result is a line of what the attackers say.
type result struct {
	Name string `json:"name"`
	Hit  bool   `json:"hit"`
	Why  string `json:"why,omitempty"` // it has not succeeded
}

// Run tries all attacks from behind a wall such as commands of agents have.
func Run(ctx context.Context, opts Options) (Outcome, error) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	s, err := newScene(ctx, opts.Home, existing(opts.Home))
	if err != nil {
		return Outcome{}, err
	}
	defer s.close()
	w := wall.New(wall.Options{
		Workspace: s.at("workspace"), Home: s.at("home"), Skills: s.at("skills"), Temp: s.at("data/tmp"),
		Hidden: s.hidden(), Without: opts.Without,
	})
	out := Outcome{Report: w.Report(ctx), Tried: len(attacks())} //nolint:contextcheck // they are tried by another process
	exe, err := os.Executable()
	if err != nil {
		return out, fmt.Errorf("find this program: %w", err)
	}
	told, err := json.Marshal(s)
	if err != nil {
		return out, fmt.Errorf("tell the attackers: %w", err)
	}
	var said bytes.Buffer
	box := sandbox.New(sandbox.Options{Children: s.children, Wall: w})
	ended, err := box.Run(ctx, sandbox.Command{
		Argv: []string{exe, Subcommand}, Dir: s.at("workspace"), Env: []string{"PATH=/usr/bin:/bin", "HOME=" + s.at("home"), "GOMAXPROCS=2"},
		Stdin: bytes.NewReader(told), Stdout: &limited{&said}, Reads: []string{exe},
	})
	if err != nil {
		return out, fmt.Errorf("start the attackers: %w", err)
	}
	out.Hits, err = hits(said.Bytes(), out.Tried)
	if err != nil {
		return out, fmt.Errorf("%w (exit code %d: %s)", err, ended.ExitCode, strings.TrimSpace(ended.Text))
	}
	out.Took = time.Since(began)
	return out, nil
}

// hits reads what the attackers say. They have to have tried everything: who ends
// early has proved nothing.
func hits(said []byte, want int) ([]string, error) {
	lines := json.NewDecoder(bytes.NewReader(said))
	var found []string
	for range want {
		var r result
		if err := lines.Decode(&r); err != nil {
			return nil, errors.New("the attackers did not come to their end")
		}
		if r.Name == "" {
			return nil, fmt.Errorf("the attackers are not where they should be: %s", r.Why)
		}
		if r.Hit {
			found = append(found, r.Name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// limited keeps those who attack from filling the memory.
type limited struct{ to *bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.to.Len()+len(p) > maxReport {
		return 0, errors.New("the attackers say too much")
	}
	return l.to.Write(p)
}

// Main is the process that attacks, with the arguments after Subcommand: none, or the
// name of one attack, or what a helper of an attack is to do.
func Main(args []string) int {
	switch {
	case len(args) == 1 && args[0] == victim:
		_, _ = os.Stdin.Read(make([]byte, 1)) // which comes to its end when nobody attacks any more
		return 0
	case len(args) == 1 && args[0] == nothing:
		return 0
	case len(args) == 1 && args[0] == inRoom:
		return roomMain()
	}
	told, err := io.ReadAll(io.LimitReader(os.Stdin, maxReport))
	var s scene
	if err == nil {
		err = json.Unmarshal(told, &s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "This is started by hermes doctor and by nothing else.")
		return 2
	}
	if len(args) == 1 {
		all := slices.Concat(attacks(), ofWorkers(wall.Full))
		i := slices.IndexFunc(all, func(a attack) bool { return a.name == args[0] })
		if i < 0 {
			return 2
		}
		if err := all[i].within(&s); err != nil {
			fmt.Fprintln(os.Stdout, err)
			return 1
		}
		return 0
	}
	return try(attacks(), &s, told, json.NewEncoder(os.Stdout))
}

// try tries one after the other, and reports each.
func try(all []attack, s *scene, told []byte, report *json.Encoder) int {
	for _, a := range all {
		var err error
		r := result{Name: a.name}
		if a.apart {
			err = a.beside(told)
		} else {
			err = a.within(s)
		}
		if r.Hit = err == nil; err != nil {
			r.Why = err.Error()
		}
		if err := report.Encode(r); err != nil {
			return 1
		}
	}
	return 0
}

// within tries an attack on a thread that ends with it.
func (a attack) within(s *scene) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock
		defer func() {
			if failed := recover(); failed != nil {
				done <- fmt.Errorf("panic: %v", failed)
			}
		}()
		done <- a.try(s)
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(attackTimeout):
		return errors.New("it comes to no end")
	}
}

// beside tries an attack in a process of its own.
func (a attack) beside(told []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*attackTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{os.Args[0], Subcommand, a.name}
	cmd.Stdin = bytes.NewReader(told)
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
