package wall_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"hermes/supervisor/sandbox/wall"
)

// TestMain makes the test binary all that a test needs of processes: the stage, a
// worker that starts commands, a victim beside it, and the attackers.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case wall.Subcommand:
			os.Exit(wall.Main())
		case wall.ShimSubcommand:
			os.Exit(wall.ShimMain())
		case "faulty":
			os.Exit(faultyMain())
		case "outside":
			os.Exit(outsideMain())
		case "worker":
			os.Exit(workerMain())
		case "victim":
			_, _ = os.Stdin.Read(make([]byte, 1))
			os.Exit(0)
		case "attacks":
			os.Exit(attacksMain())
		case "attack":
			os.Exit(attackMain())
		}
	}
	goleak.VerifyTestMain(m)
}
