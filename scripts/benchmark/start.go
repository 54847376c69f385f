package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"hermes/supervisor/handoff"
)

const (
	// starts is how many workers are started, one after the other.
	starts = 30
	// sendLimit is how long a worker has to read its first message.
	sendLimit = 10 * time.Second
)

// measureStarts returns the median time in microseconds from the making of a
// worker's process to its READY. It does what a supervisor does, without the
// backoff of one.
func measureStarts(ctx context.Context, h *hermes) (float64, error) {
	var took []float64
	for range starts {
		d, err := startWorker(ctx, h)
		if err != nil {
			return 0, fmt.Errorf("start worker: %w", err)
		}
		took = append(took, float64(d.Nanoseconds())/1000)
	}
	return median(took), nil
}

func startWorker(ctx context.Context, h *hermes) (took time.Duration, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	given, err := belongings(h, listener.(*net.TCPListener)) //nolint:errcheck // a listener for tcp is one
	if err != nil {
		return 0, err
	}
	defer given.Close()
	parent, control, err := handoff.Pair()
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, control.Close()) }()

	var output bytes.Buffer
	cmd := h.command(ctx, handoff.Subcommand)
	cmd.Env = handoff.Environ(os.Environ())
	cmd.Stderr = &output
	cmd.ExtraFiles = []*os.File{control} // becomes ControlFD

	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, errors.Join(err, parent.Close())
	}
	// The end of its control socket ends a worker.
	defer func() {
		if ended := errors.Join(parent.Close(), cmd.Wait()); err != nil || ended != nil {
			err = fmt.Errorf("%w\nthe worker printed:\n%s", errors.Join(err, ended), output.Bytes())
		}
	}()
	start := h.start(listener.Addr().String())
	if err := parent.Give(handoff.StartMessage(&start), given, sendLimit); err != nil {
		return 0, err
	}
	message, err := parent.Receive()
	if err != nil {
		return 0, err
	}
	if message.Kind != handoff.KindReady {
		return 0, fmt.Errorf("its first message is %s", message.Kind)
	}
	return time.Since(began), nil
}

// belongings are what a supervisor would give the worker.
func belongings(h *hermes, listener *net.TCPListener) (b handoff.Belongings, err error) {
	if b.Lock, err = os.Create(filepath.Join(h.home, "profiles", h.names[0], "data", "bench.lock")); err != nil {
		return b, err
	}
	if b.Listener, err = listener.File(); err != nil {
		return b, errors.Join(err, b.Lock.Close())
	}
	return b, nil
}

// start is what a supervisor would tell the worker of the first profile.
func (h *hermes) start(address string) handoff.Start {
	dir := filepath.Join(h.home, "profiles", h.names[0])
	return handoff.Start{
		Version: handoff.Version, Profile: h.names[0], Generation: 1,
		Paths: handoff.Paths{
			Profile:   dir,
			Database:  filepath.Join(dir, "data", "state.db"),
			Workspace: filepath.Join(dir, "workspace"),
			Home:      filepath.Join(dir, "home"),
			Memories:  filepath.Join(dir, "memories"),
			Skills:    filepath.Join(dir, "skills"),
			Soul:      filepath.Join(dir, "SOUL.md"),
		},
		API: handoff.API{
			Address: address, ModelName: h.names[0], MaxBodyBytes: 10_000_000, MaxConcurrentRuns: 10,
			OnDisconnect: "cancel", DrainTimeout: time.Second,
		},
		Model:        handoff.Model{Provider: "openai", Model: "tiny", BaseURL: h.upstream + "/v1", APIKey: upstreamKey, Streaming: true},
		Agent:        handoff.Agent{MaxIterations: 90, Tools: []string{"all"}},
		Terminal:     handoff.Terminal{Timeout: time.Minute},
		ToolProgress: "auto",
	}
}
