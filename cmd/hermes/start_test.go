package main

import (
	"bufio"
	"bytes"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Initialisers of packages run in every process, whatever it is for, and what they
// take a worker holds for as long as it waits.
func TestProcessesBeginWithLittle(t *testing.T) {
	t.Parallel()
	exe := filepath.Join(t.TempDir(), "hermes")
	build := exec.Command("go", "build", "-o", exe, ".") // the test binary holds more
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	stage, shim, worker := initialised(t, exe, "wall"), initialised(t, exe, "shim"), initialised(t, exe, "worker")
	for what, early := range map[string]initials{"the stage of a wall": stage, "a shim": shim} {
		if got := early.bytes(); len(early) > 25 || got > 8<<10 {
			t.Errorf("%d initialisers took %d bytes before %s, 25 and 8 KiB are the limit: %v", len(early), got, what, slices.Sorted(maps.Keys(early)))
		}
	}
	// Once one of the first three is there, hundreds of others are.
	for _, name := range []string{"unicode", "reflect", "net", "net/http", "regexp", "codeberg.org/readeck/go-readability/v2", "github.com/spf13/cobra"} {
		if _, early := stage[name]; early {
			t.Errorf("%s is initialised before the stage of a wall, which does not need it", name)
		}
		if _, known := worker[name]; !known && name != "regexp" { // has nothing to initialise
			t.Errorf("%s is not initialised in a worker; this test looks for nothing", name)
		}
	}
	if got := worker.bytes(); got > 850<<10 {
		t.Errorf("the initialisers of a worker take %d bytes, 850 KiB are the limit", got)
	}
	for name, n := range worker {
		if (name == "main" || strings.HasPrefix(name, "hermes/")) && n > 4<<10 {
			t.Errorf("package %s takes %d bytes in each process before anything is asked of it, 4 KiB are the limit", name, n)
		}
	}
}

// initials are how many bytes packages took before main, or before the stage of a wall.
type initials map[string]int

func (i initials) bytes() (sum int) {
	for _, n := range i {
		sum += n
	}
	return sum
}

// initialised starts hermes as a process that finds nothing to do, and reads what Go
// says of its initialisers: init NAME @0.5 ms, 0.01 ms clock, 123 bytes, 4 allocs.
func initialised(t *testing.T, exe, subcommand string) initials {
	t.Helper()
	cmd := exec.Command(exe, subcommand)
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() < 1 || exit.ExitCode() > 2 {
		t.Fatalf("hermes %s that nobody needs: %v, want exit code 1 or 2\n%s", subcommand, err, out)
	}
	found := initials{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 11 && fields[0] == "init" {
			if found[fields[1]], err = strconv.Atoi(fields[7]); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("hermes %s tells no initialisers:\n%s", subcommand, out)
	}
	return found
}
