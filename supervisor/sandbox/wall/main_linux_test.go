package wall_test

import (
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"hermes/supervisor/sandbox/wall"
)

// TestMain makes the test binary all that a test needs of processes: the stage, a
// worker that starts commands, a victim beside it, and the attackers.
// They end by syscall.Exit: os.Exit has the race detector wait for a second first.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case wall.Subcommand:
			syscall.Exit(wall.Main())
		case wall.ShimSubcommand:
			syscall.Exit(wall.ShimMain())
		case "faulty":
			syscall.Exit(faultyMain())
		case "outside":
			os.Exit(outsideMain()) // which is told not to wait, see job.run
		case "worker":
			syscall.Exit(workerMain())
		case "becomes":
			syscall.Exit(becomesMain(os.Args[2]))
		case "victim":
			_, _ = os.Stdin.Read(make([]byte, 1))
			syscall.Exit(0)
		case "attacks":
			syscall.Exit(attacksMain())
		case "attack":
			syscall.Exit(attackMain())
		}
	}
	goleak.VerifyTestMain(m)
}
