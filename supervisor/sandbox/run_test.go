package sandbox

import (
	"testing"
)

func TestRunMergesOutput(t *testing.T) {
	t.Parallel()
	out, err := box.Run(t.Context(), Command{Argv: []string{"/bin/sh", "-c", "echo one; echo two >&2; echo three; exit 3"}, Dir: t.TempDir()})
	if err != nil || out.Text != "one\ntwo\nthree\n" || out.ExitCode != 3 {
		t.Fatalf("got %+v, %v", out, err)
	}
}
