package sandbox

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"hermes/supervisor/sandbox/wall"
)

// box is the one Sandbox of the test process, which is a subreaper like a worker.
var box = New(Options{})

// The processes of tests end by syscall.Exit: os.Exit has the race detector wait for a second first.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == wall.Subcommand {
		syscall.Exit(wall.Main())
	}
	if err := BecomeSubreaper(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
