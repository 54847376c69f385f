package tools

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// session is the context of a turn of a session.
func session(t *testing.T, id string) context.Context {
	t.Helper()
	return WithTurn(t.Context(), Turn{SessionID: id, RunID: "r"})
}

func TestWorkingDirectoryStaysForTheNextCall(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	outside := t.TempDir()
	put(t, dir, "a/b/f", "")
	put(t, dir, "büro 1/f", "")
	steps := []struct {
		name    string
		session string
		args    args
		want    string // all of the text; DIR and OUT stand for the directories
		failed  bool
	}{
		{"begins in the workspace", "1", args{"command": "pwd"}, "DIR\n", false},
		{"goes", "1", args{"command": "cd a"}, "(no output)\n[the working directory is now DIR/a]\n", false},
		{"is there", "1", args{"command": "pwd"}, "DIR/a\n", false},
		{"another session is not", "2", args{"command": "pwd"}, "DIR\n", false},
		{"nor is none", "", args{"command": "pwd; cd a/b"}, "DIR\n", false},
		{"nor is none again", "", args{"command": "pwd"}, "DIR\n", false},
		{"the file tools are not", "1", args{"command": "cd b; ls"}, "f\n[the working directory is now DIR/a/b]\n", false},
		{"workdir is for one call", "1", args{"command": "pwd; cd /", "workdir": "a"}, "DIR/a\n", false},
		{"stays", "1", args{"command": "pwd"}, "DIR/a/b\n", false},
		{"in a subshell", "1", args{"command": "(cd /; pwd)"}, "/\n", false},
		{"in a pipe", "1", args{"command": "cd / | true; pwd"}, "DIR/a/b\n", false},
		{"goes and fails", "1", args{"command": "cd ..; exit 3"}, "(no output)\n[the working directory is now DIR/a]\n[exit code 3]\n", true},
		{"stops at an error", "1", args{"command": "set -e; cd b; false; cd /"}, "(no output)\n[the working directory is now DIR/a/b]\n[exit code 1]\n", true},
		{"becomes another program", "1", args{"command": "cd ..; exec pwd"}, "DIR/a\n", false},
		{"which cannot tell", "1", args{"command": "pwd"}, "DIR/a/b\n", false},
		{"killed", "1", args{"command": "cd /; kill -KILL $$"}, "(no output)\n[ended by SIGKILL, perhaps out of memory]\n", true},
		{"space and umlaut", "1", args{"command": "cd '../../büro 1'"}, "(no output)\n[the working directory is now DIR/büro 1]\n", false},
		{"is there too", "1", args{"command": "pwd"}, "DIR/büro 1\n", false},
		{"out of the workspace", "1", args{"command": "cd OUT"}, "(no output)\n[the working directory is now OUT]\n", false},
		{"in a terminal", "1", args{"command": "pwd; cd DIR/a", "pty": true}, "OUT\n[the working directory is now DIR/a]\n", false},
		{"the shell's own trap", "1", args{"command": "trap 'echo bye' EXIT; cd b"}, "bye\n", false},
		{"in the background", "1", args{"command": "cd /; sleep 0.01; exit 0", "background": true}, "", false},
		{"has not gone", "1", args{"command": "mkdir x; cd x; pwd"}, "DIR/a/x\n[the working directory is now DIR/a/x]\n", false},
		{"removes itself", "1", args{"command": "rmdir ../x; echo done"}, "done\n", false},
		{"is gone", "1", args{"command": "pwd"}, "DIR\n[the working directory DIR/a/x is gone; this ran in the workspace]\n", false},
		{"says so once", "1", args{"command": "pwd"}, "DIR\n", false},
		{"back", "1", args{"command": "cd a && cd -"}, "DIR\n", false},
		{"lines are counted right", "1", args{"command": "echo $LINENO\necho $LINENO"}, "1\n2\n", false},
		{"nobody is told of the descriptor", "1", args{"command": "exec 7>&-; cd a"}, "(no output)\n", false},
		{"nonsense on it", "1", args{"command": "echo nonsense >&7; cd a"}, "(no output)\n", false},
		{"much of it", "1", args{"command": "head -c 50000 /dev/zero >&7; cd a"}, "(no output)\n", false},
		{"still here", "1", args{"command": "pwd"}, "DIR\n", false},
	}
	names := strings.NewReplacer("DIR", dir, "OUT", outside)
	for _, step := range steps {
		step.args["command"] = names.Replace(fmt.Sprint(step.args["command"]))
		got := call(session(t, step.session), t, set, "terminal", step.args)
		if want := names.Replace(step.want); got.Text != want && want != "" || got.Failed != step.failed {
			t.Errorf("%s: failed %v, got\n%s\nwant\n%s", step.name, got.Failed, got.Text, want)
		}
	}
}

// Descendants that keep the report open hold nobody up, and what does not exist
// any more when a command has ended is no directory to be in.
func TestReportIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	got := call(session(t, "1"), t, set, "terminal", args{"command": "mkdir a; cd a; (setsid sleep 98765.75 >/dev/null 2>&1 &); rmdir ../a"})
	expect(t, got, false, "(no output)\n")
	expect(t, call(session(t, "1"), t, set, "terminal", args{"command": "pwd"}), false, dir+"\n")
	if left := living(t, "98765.75"); left != nil {
		t.Errorf("still there: %q", left)
	}
}

func TestDirectoriesOfManySessions(t *testing.T) {
	t.Parallel()
	var d directories
	for i := range keptDirectories + 1 {
		d.set(fmt.Sprint(i), fmt.Sprint("/", i))
	}
	d.set("7", "/seven")
	d.set("8", "")
	for session, want := range map[string]string{"0": "", "1": "/1", "7": "/seven", "8": "", "1000": "/1000"} {
		if got := d.of(session); got != want {
			t.Errorf("session %s is in %q, want %q", session, got, want)
		}
	}
	if len(d.kept) != len(d.old) || len(d.old) != keptDirectories-1 {
		t.Errorf("%d kept, %d in order", len(d.kept), len(d.old))
	}
}

func TestShIsEnoughForTheWorkingDirectory(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	if err := os.Symlink("/bin/sh", filepath.Join(bin, "sh")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	set, err := NewSet(kept(Options{Workspace: dir, Sandbox: box, Environ: []string{"PATH=" + bin}}))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	expect(t, call(session(t, "1"), t, set, "terminal", args{"command": "cd /; exit 2"}), true, "(no output)\n[the working directory is now /]\n[exit code 2]\n")
	expect(t, call(session(t, "1"), t, set, "terminal", args{"command": "pwd"}), false, "/\n")
}
