package tools

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// leftoverLimit is how long after the end of a call something of it may still live.
const leftoverLimit = 100 * time.Millisecond

// leftovers are ways of a command to leave a process behind. Each touches the file up
// once it has what should stay, and that has MARK among its arguments.
func leftovers() map[string]string {
	return map[string]string{
		"in the background":      `sh -c 'touch up; exec sleep MARK' &`,
		"nohup":                  `nohup sh -c 'touch up; exec sleep MARK' >/dev/null 2>&1 &`,
		"disown":                 `sh -c 'touch up; exec sleep MARK' & disown`,
		"a session of its own":   `setsid sh -c 'touch up; exec sleep MARK' &`,
		"two forks":              `(setsid sh -c '(touch up; exec sleep MARK) & exit' &)`,
		"two forks, unmarked":    `(env -i PATH="$PATH" setsid sh -c '(touch up; exec sleep MARK) & exit' &)`,
		"deaf to signals":        `setsid sh -c 'trap "" TERM HUP INT; touch up; while :; do sleep MARK; done' &`,
		"one that starts others": `setsid sh -c 'touch up; while :; do setsid sleep MARK & sleep 0.02; done' &`,
		"each other":             `f() { setsid sh -c 'trap "" TERM; touch up; while :; do sh -c "sleep MARK" & wait; done' & }; f; f`,
		"a daemon of Python": `python3 -c '
import os, sys
if os.fork(): sys.exit()
os.setsid()
if os.fork(): sys.exit()
for fd in range(3): os.close(fd)
open("up", "w")
os.execvp("sleep", ["sleep", "MARK"])'`,
	}
}

// Nothing lives 100 ms after a call that tried to leave something behind, but for the
// jobs that were declared, and these are listed.
func TestNothingIsLeftOfACommandButItsJobs(t *testing.T) {
	set, _ := newSet(t)
	job := background(t.Context(), t, set, "(setsid sleep 98757.5 &); echo ready; exec sleep 98757.5", false)
	shows(t, set, job, "ready")
	eventually(t, "the job has its processes", func() bool { return len(living(t, "sleep\x0098757.5")) == 2 })
	_, err := exec.LookPath("python3")
	withPython := err == nil
	n := 0
	for name, command := range leftovers() {
		if !withPython && strings.Contains(command, "python3") {
			continue
		}
		n++
		mark := fmt.Sprintf("98756.%d", n)
		command = "rm -f up\n" + strings.ReplaceAll(command, "MARK", mark) + "\nuntil [ -e up ]; do sleep 0.01; done; echo left"
		expect(t, call(t.Context(), t, set, "terminal", args{"command": command}), false, "left\n")
		<-time.After(leftoverLimit)
		if alive := living(t, mark); alive != nil {
			t.Errorf("%s: still there: %q", name, alive)
		}
	}
	if alive := living(t, "sleep\x0098757.5"); len(alive) != 2 {
		t.Errorf("of the job's two processes there are %q", alive)
	}
	expect(t, processCall(t, set, "list", "", nil), false, job+"  running for ")
}
