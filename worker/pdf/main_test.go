package pdf

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"hermes/supervisor/sandbox"
)

// TestMain makes the test binary the program that reads one document.
// They end by syscall.Exit: os.Exit has the race detector wait for a second first.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == Subcommand {
		limit, err := strconv.Atoi(os.Args[2])
		if err == nil {
			err = Main(os.Stdin, os.Stdout, limit)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			syscall.Exit(1)
		}
		syscall.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// box is the one Sandbox of the test process. It is no subreaper, as the
// processes of a fuzz target are not its to end.
var box = sandbox.New(sandbox.Options{})
