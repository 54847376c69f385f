package tools

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hermes/worker/policy"
)

// newGatedSet makes all tools with a policy, and keeps what is decided.
func newGatedSet(t *testing.T, opts policy.Options, fail error) (set *Set, dir string, decided *[]Decision) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "workspace")
	decided = &[]Decision{}
	set, err := NewSet(kept(Options{
		Workspace: dir, Home: filepath.Join(dir, "..", "home"), Sandbox: box, Policy: opts, Profile: "alice",
		Audit: func(_ context.Context, d Decision) error {
			if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
				t.Error("the command ran before the decision was kept")
			}
			*decided = append(*decided, d)
			return fail
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set, dir, decided
}

func TestDeniedCommandDoesNotRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		opts    policy.Options
		command string
		want    []string // what the model is told
		class   policy.Class
		rule    string
	}{
		{
			"by class",
			policy.Options{},
			"touch ran; crontab -r",
			[]string{"Denied, nothing was run: `crontab -r`", "class schedules", "agent.approvals: deny", "hermes -p alice config set agent.allow …", "other means"},
			"schedules", "",
		},
		{
			"by rule",
			policy.Options{Deny: []string{"git push"}},
			"touch ran && git push",
			[]string{"`git push`", "forbids it with the rule `git push`", "hermes -p alice config set agent.deny …", "other means"},
			"", "git push",
		},
		{
			"by the floor",
			policy.Options{Approvals: "allow", Allow: []string{"mkfs*"}},
			"touch ran; mkfs.ext4 /dev/null",
			[]string{"`mkfs.ext4 /dev/null`", "class disk", "No setting of this agent allows it.", "other means"},
			"disk", "",
		},
		{"unreadable", policy.Options{}, "touch ran; echo 'x", []string{"nothing was run", "line 1", "simpler"}, "unreadable", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, dir, decided := newGatedSet(t, test.opts, nil)
			ctx := WithTurn(t.Context(), Turn{SessionID: "s", RunID: "r"})
			got := call(ctx, t, set, "terminal", args{"command": test.command})
			for _, want := range test.want {
				expect(t, got, true, want)
			}
			if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
				t.Error("the command ran")
			}
			if len(*decided) != 1 {
				t.Fatalf("%d decisions were kept", len(*decided))
			}
			d := (*decided)[0]
			if d.Turn.RunID != "r" || d.CallID != "call_0" || d.Tool != "terminal" || d.Command != test.command ||
				!d.Verdict.Denied || d.Verdict.Class != test.class || d.Verdict.Rule != test.rule {
				t.Errorf("kept %+v", d)
			}
			if _, label := set.Describe(t.Context(), toolCall("terminal", `{"command":`+quoted(test.command)+`}`)); !strings.HasPrefix(label, "denied: ") {
				t.Errorf("the label is %q", label)
			}
		})
	}
}

func TestAllowedCommandIsKeptToo(t *testing.T) {
	t.Parallel()
	set, dir, decided := newGatedSet(t, policy.Options{Allow: []string{"kill -9 99999999*"}}, nil)
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "echo hi > f; kill -9 999999991 2>/dev/null; cat f"}), false, "hi")
	put(t, dir, "g", "x")
	expect(t, call(t.Context(), t, set, "read_file", args{"path": "g"}), false, "x")
	expect(t, call(t.Context(), t, set, "write_file", args{"path": "h", "content": "rm -rf /"}), false, "")
	if len(*decided) != 1 {
		t.Fatalf("%d decisions were kept", len(*decided))
	}
	if v := (*decided)[0].Verdict; v.Denied || v.Class != policy.Processes || v.Rule != "kill -9 99999999*" || v.Setting != "agent.allow" {
		t.Errorf("kept %+v", v)
	}
}

func TestCommandWhoseDecisionIsNotKeptDoesNotRun(t *testing.T) {
	t.Parallel()
	set, dir, decided := newGatedSet(t, policy.Options{}, errors.New("disk full"))
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "touch ran"}), true, "could not be recorded")
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil || len(*decided) != 1 {
		t.Errorf("it ran, or was tried %d times", len(*decided))
	}
}

// A workdir is where the command is judged: rm -rf .. is another thing there.
func TestPolicyKnowsTheWorkdir(t *testing.T) {
	t.Parallel()
	set, dir, _ := newGatedSet(t, policy.Options{}, nil)
	put(t, dir, "a/b/c", "")
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "rm -rf ../b/c", "workdir": "a/b"}), false, "")
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "rm -rf ../../..", "workdir": "a/b"}), true, "delete_recursive_root")
	if _, err := os.Stat(filepath.Join(dir, "a/b")); err != nil {
		t.Error(err)
	}
}

// Without a policy the strictest one holds.
func TestNoSetIsWithoutAPolicy(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "crontab -r"}), true, "hermes config set agent.allow")
}

// A shell that is typed into runs what it reads, so that is judged like a command:
// with all that was typed before, and not before its Enter.
func TestTypedCommandsAreJudged(t *testing.T) {
	t.Parallel()
	set, dir, decided := newGatedSet(t, policy.Options{}, nil)
	ctx := WithTurn(t.Context(), Turn{SessionID: "s", RunID: "r"})
	started := call(ctx, t, set, "terminal", args{"command": "bash --norc", "background": true, "pty": true})
	id := regexp.MustCompile(`as (\S+)\.`).FindStringSubmatch(started.Text)
	if id == nil {
		t.Fatal(started.Text)
	}
	typing := func(action, data string) Result {
		return call(ctx, t, set, "process", args{"action": action, "session_id": id[1], "data": data})
	}
	denied := func(action, data, want string) {
		t.Helper()
		expect(t, typing(action, data), true, want)
	}
	typedOf := func(action, data string) {
		t.Helper()
		expect(t, typing(action, data), false, "Typed.")
	}
	denied("submit", "crontab -r", "class schedules")
	denied("write", "touch ran\ncrontab -r\n", "class schedules")
	typedOf("write", "cront")
	denied("submit", "ab -r", "class schedules") // the half line waits in the terminal
	typedOf("write", "\x15")
	typedOf("submit", "touch allowed; cd /")
	denied("submit", "rm -rf *", "delete_recursive_root") // it knows where the shell is
	typedOf("submit", "x=crontab")
	denied("submit", "$x -r", "class schedules")
	denied("write", "\x1b[A", "nothing was typed") // who knows what the arrow brings back
	denied("submit", "echo 'x", "simpler")
	if _, label := set.Describe(ctx, toolCall("process", `{"action":"submit","session_id":"`+id[1]+`","data":"crontab -r"}`)); label != "denied: crontab -r" {
		t.Errorf("the label is %q", label)
	}
	typedOf("submit", "exit")
	expect(t, call(ctx, t, set, "process", args{"action": "wait", "session_id": id[1], "timeout": 10}), false, "exit code 0")
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("what was denied ran")
	}
	content(t, dir, "allowed")
	all := 0
	for _, d := range *decided {
		if d.Tool == "process" {
			all++
		}
	}
	if all != 9 {
		t.Errorf("%d decisions about what was typed were kept: %+v", all, *decided)
	}
}

// What is typed into a program that runs no commands is only text.
func TestTypedTextIsNotJudged(t *testing.T) {
	t.Parallel()
	set, _, decided := newGatedSet(t, policy.Options{}, nil)
	started := call(t.Context(), t, set, "terminal", args{"command": "head -n 1", "background": true, "pty": true})
	id := regexp.MustCompile(`as (\S+)\.`).FindStringSubmatch(started.Text)
	if id == nil {
		t.Fatal(started.Text)
	}
	expect(t, call(t.Context(), t, set, "process", args{"action": "submit", "session_id": id[1], "data": "crontab -r; echo 'x"}), false, "Typed.")
	expect(t, call(t.Context(), t, set, "process", args{"action": "wait", "session_id": id[1], "timeout": 10}), false, "exit code 0")
	if len(*decided) != 1 {
		t.Errorf("%d decisions", len(*decided))
	}
}
