package main_test

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// escapes are ways of a command to leave a process behind, which sleeps for MARK
// seconds. It touches the file up when it stands.
func escapes() []string {
	return []string{
		`setsid sh -c 'touch up; exec sleep MARK' &`,
		`(env -i PATH="$PATH" setsid sh -c '(touch up; exec sleep MARK) & exit' &)`,
		`setsid sh -c 'trap "" TERM HUP INT; touch up; while :; do sleep MARK; done' &`,
		`setsid sh -c 'touch up; while :; do setsid sleep MARK & sleep 0.02; done' &`,
		`f() { setsid sh -c 'trap "" TERM; touch up; while :; do sh -c "sleep MARK" & wait; done' & }; f; f`,
	}
}

// Of what a command has left nothing lives 100 ms after the answer, whoever had started
// it: the shim of the worker, or where there are no namespaces the worker itself.
func TestNothingOutlivesACommandOfAWalledWorker(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere there are no walls")
	}
	for _, level := range []string{"FULL", "REDUCED"} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, true)
			alice := m.create("alice")
			var err error
			if m.bin, err = exec.LookPath(map[string]string{"FULL": "hermes", "REDUCED": "hermes-contained"}[level]); err != nil {
				t.Fatal(err)
			}
			m.run("-p", "alice", "config", "set", "agent.approvals", "allow")
			m.gateway(1, "--all")
			if _, health := alice.get(t, "/health/detailed"); !strings.Contains(health, "commands: "+level) {
				t.Skipf("this machine does not give level %s: %s", level, health)
			}
			for _, escape := range escapes() {
				mark := mark()
				command := "rm -f up\n" + strings.ReplaceAll(escape, "MARK", mark) + "\nuntil [ -e up ]; do sleep 0.01; done; echo it stands"
				if got := alice.tool(t, "leave", "terminal", map[string]any{"command": command}); !strings.Contains(got, `it stands\n`) {
					t.Errorf("%s\nsays %s", escape, got)
				}
				answered := time.Now()
				eventually(t, patience, "nothing is left of "+escape, func() bool { return len(processes(t, "sleep\x00"+mark)) == 0 })
				// Looking takes time too, and dying, where others want the processors.
				if took := time.Since(answered); thorough() && took > 100*time.Millisecond {
					t.Errorf("%s\nlives for %v", escape, took)
				}
			}
		})
	}
}
