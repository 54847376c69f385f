package worker

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"hermes/supervisor/sandbox"
)

func TestMain(m *testing.M) {
	if err := sandbox.BecomeSubreaper(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
