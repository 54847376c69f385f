package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"hermes/supervisor/handoff"
	"hermes/worker"
)

type workerOptions struct {
	*app
}

// newWorkerCmd is what a supervisor starts, once for each profile.
func newWorkerCmd(a *app) *cobra.Command {
	opts := &workerOptions{app: a}
	return &cobra.Command{
		Use:     handoff.Subcommand,
		Short:   "Serve one profile; started by a gateway and by nothing else",
		Example: "  hermes gateway",
		Hidden:  true,
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return workerRun(cmd.Context(), opts) },
	}
}

// workerRun takes over what the supervisor left to this process and serves the
// profile. It reads no flag, no variable and no file: what a worker must know,
// the supervisor tells it.
func workerRun(ctx context.Context, opts *workerOptions) error {
	// A service manager may send SIGTERM to all processes of a service at once.
	// When a worker drains is the supervisor's to say, over the control socket. The
	// signals are caught and not ignored, since tools would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM)
	ctx = context.WithoutCancel(ctx)
	exe, unknown := executable()
	version := readBuild().Version
	child, start, listener, err := handoff.Accept()
	if errors.Is(err, handoff.ErrNoParent) {
		return usagef("%w", err)
	}
	if errors.Is(err, handoff.ErrUnused) {
		return nil
	}
	log := slog.New(slog.NewJSONHandler(opts.err, nil))
	if err != nil {
		log.Error("take over from the supervisor", "error", err)
		return silent(exitFailure)
	}
	log = log.With("profile", start.Profile, "generation", start.Generation)
	if unknown != nil {
		log.Warn("PDF documents cannot be read", "error", unknown)
	}
	err = worker.Run(ctx, worker.Options{
		Child: child, Start: start, Listener: listener, Log: log, Exe: exe, Version: version,
	})
	if err != nil {
		log.Error("worker ends", "error", err)
		return silent(worker.ExitCode(err))
	}
	return nil
}
