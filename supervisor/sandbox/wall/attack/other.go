//go:build !linux

package attack

import (
	"context"

	"hermes/supervisor/sandbox/wall"
)

// Run attacks nothing: there are walls on Linux only.
func Run(ctx context.Context, _ Options) (Outcome, error) {
	return Outcome{Report: wall.New(wall.Options{}).Report(ctx)}, nil
}

// RunWorker attacks nothing either.
func RunWorker(ctx context.Context, opts Options) (Outcome, error) { return Run(ctx, opts) }

// Main is the process that attacks, which there is on Linux only.
func Main([]string) int { return 1 }
