package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	// readyLimit is how long all workers together may take to start.
	readyLimit = 60 * time.Second
	// stopLimit is how long a gateway may take to end.
	stopLimit = 20 * time.Second
	// tick is the pause between two looks at what another process does.
	tick = 50 * time.Millisecond
)

// hermes is the binary with a home of its own.
type hermes struct {
	exe      string
	home     string
	upstream string
	names    []string // of its profiles
}

// command makes a run of hermes that sees nothing of the caller's settings.
func (h *hermes) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, h.exe, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(h.home), "HERMES_HOME=" + h.home}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	return cmd
}

// run runs hermes to its end and returns what it printed.
func (h *hermes) run(ctx context.Context, args ...string) (string, error) {
	cmd := h.command(ctx, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("hermes %s: %w\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// setUp makes a home whose shared settings name the fake upstream.
func (h *hermes) setUp(ctx context.Context) error {
	for _, args := range [][]string{
		{"setup", "--yes"},
		{"config", "set", "API_SERVER_ENABLED", "false"},
		{"config", "set", "supervisor.start", "always"},
		{"config", "set", "model.base_url", h.upstream + "/v1"},
		{"config", "set", "model.default", "tiny"},
		{"config", "set", "OPENAI_API_KEY", upstreamKey},
	} {
		if _, err := h.run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// create makes profiles until there are count of them.
func (h *hermes) create(ctx context.Context, count int) error {
	for len(h.names) < count {
		name := fmt.Sprintf("p%03d", len(h.names)+1)
		if _, err := h.run(ctx, "profile", "create", name); err != nil {
			return err
		}
		h.names = append(h.names, name)
	}
	return nil
}

// status is what is read of `hermes gateway status --json`.
type status struct {
	PID      int `json:"pid"`
	Profiles []struct {
		Name  string `json:"name"`
		State string `json:"state"`
		PID   int    `json:"pid"`
	} `json:"profiles"`
}

// gateway is a running `hermes gateway --all`, all of whose workers are ready.
type gateway struct {
	pid     int
	workers []int // pids
}

// serve runs a gateway for all profiles, and work beside it when all are ready.
func (h *hermes) serve(ctx context.Context, work func(*gateway) error) error {
	return h.attend(ctx, "ready", work)
}

// attend is serve for profiles that are to be in another state.
func (h *hermes) attend(ctx context.Context, state string, work func(*gateway) error) (err error) {
	cmd := h.command(ctx, "gateway", "--all")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		stopped := stop(cmd, ended)
		if err = errors.Join(err, stopped); err != nil {
			err = fmt.Errorf("%w\nthe gateway printed:\n%s", err, output.Bytes())
		}
	}()
	g, err := h.await(ctx, state)
	if err != nil {
		return err
	}
	return work(g)
}

// stop ends a gateway: it is asked to, then hurried, then killed.
func stop(cmd *exec.Cmd, ended <-chan error) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL} {
		_ = cmd.Process.Signal(signal) // it may have ended by itself
		select {
		case err := <-ended:
			return err
		case <-time.After(stopLimit / 2):
		}
	}
	return errors.New("the gateway did not end")
}

// await waits until every profile is in a state.
func (h *hermes) await(ctx context.Context, state string) (*gateway, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, errors.New("the workers are not ready in time"))
	defer cancel()
	for {
		if err := pause(ctx, tick); err != nil {
			return nil, err
		}
		if g, err := h.look(ctx, state); g != nil || err != nil {
			return g, err
		}
	}
}

// look returns the gateway if every profile is in a state now, else nil.
func (h *hermes) look(ctx context.Context, state string) (*gateway, error) {
	text, err := h.run(ctx, "gateway", "status", "--json")
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // it has no control socket yet
	}
	var gateways []status
	if err := json.Unmarshal([]byte(text), &gateways); err != nil {
		return nil, fmt.Errorf("read status: %w", err)
	}
	if len(gateways) != 1 {
		return nil, nil //nolint:nilnil // none is what it says
	}
	g := &gateway{pid: gateways[0].PID}
	for _, p := range gateways[0].Profiles {
		if strings.EqualFold(p.State, state) {
			g.workers = append(g.workers, p.PID)
		}
	}
	if len(g.workers) != len(h.names) {
		return nil, nil //nolint:nilnil // as above
	}
	return g, nil
}
