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

// Main is the process that attacks, which there is on Linux only.
func Main([]string) int { return 1 }
