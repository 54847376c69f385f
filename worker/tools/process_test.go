package tools

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

// background starts a job and returns its id.
func background(ctx context.Context, t *testing.T, set *Set, command string, pty bool) string {
	t.Helper()
	began := time.Now()
	got := call(ctx, t, set, "terminal", args{"command": command, "background": true, "pty": pty})
	id := regexp.MustCompile(`job_[0-9a-f]{8}`).FindString(got.Text)
	if got.Failed || id == "" {
		t.Fatalf("got %+v", got)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	return id
}

// process calls the tool of that name.
func processCall(t *testing.T, set *Set, action, id string, more args) Result {
	t.Helper()
	arguments := args{"action": action, "session_id": id}
	maps.Copy(arguments, more)
	return call(t.Context(), t, set, "process", arguments)
}

// shows waits until a job's output holds the text.
func shows(t *testing.T, set *Set, id, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q in the output of the job", text), func() bool {
		return strings.Contains(processCall(t, set, "log", id, nil).Text, text)
	})
}

// like fails the test unless the text fits the pattern; TIME in it is any time.
func like(t *testing.T, got Result, failed bool, pattern string) {
	t.Helper()
	pattern = "^" + strings.ReplaceAll(pattern, "TIME", `[0-9.]+m?s`) + "$"
	if got.Failed != failed || !regexp.MustCompile(pattern).MatchString(got.Text) {
		t.Errorf("failed %v, text:\n%s\nwant failed %v and %s", got.Failed, got.Text, failed, pattern)
	}
}

// gate makes a named pipe in the workspace, for a command to wait at, and returns
// what opens it.
func gate(t *testing.T, dir, name string) (open func()) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		fd, err := syscall.Open(path, syscall.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		syscall.Close(fd)
	}
}

func TestJobFromBeginningToEnd(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	open := gate(t, dir, "gate")
	id := background(t.Context(), t, set, "echo one; echo two >&2; read x <gate; echo three; exit 4", false)
	shows(t, set, id, "two\n")
	like(t, processCall(t, set, "poll", id, nil), false, "one\ntwo\n\\["+id+": running for TIME\\]\n")
	like(t, processCall(t, set, "poll", id[:8], nil), false, "\\(nothing new\\)\n\\["+id+": running for TIME\\]\n")
	like(t, processCall(t, set, "wait", id, args{"timeout": 0}), false, "\\(nothing new\\)\n\\["+id+": running for TIME\\]\n")
	like(t, processCall(t, set, "list", "", nil), false, id+"  running for TIME  echo one; .*\n")
	like(t, processCall(t, set, "submit", id, args{"data": "x"}), true, id+" has no terminal to type into.*")
	open()
	like(t, processCall(t, set, "wait", id, nil), false, "three\n\\["+id+": exit code 4 after TIME\\]\n")
	like(t, processCall(t, set, "poll", id, nil), false, "\\(nothing new\\)\n\\["+id+": exit code 4 after TIME\\]\n")
	like(t, processCall(t, set, "log", strings.TrimPrefix(id, jobPrefix), nil), false, "one\ntwo\nthree\n\\["+id+": exit code 4 after TIME\\]\n")
	like(t, processCall(t, set, "kill", id, nil), false, id+" runs no more: exit code 4 after TIME\\.")
	like(t, processCall(t, set, "close", id, nil), true, id+" runs no more: exit code 4 after TIME\\.")
	like(t, processCall(t, set, "list", "", nil), false, id+"  exit code 4 after TIME  echo one; .*\n")
}

func TestTimeoutMakesAJob(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	open := gate(t, dir, "gate")
	got := call(session(t, "1"), t, set, "terminal", args{"command": "mkdir a; cd a; echo begun; read x <../gate; echo went on", "timeout": 1})
	like(t, got, false, "begun\n\\[still running after 1s; it goes on in the background as job_\\w+\\]\n\\[process .*\\]\n")
	id := regexp.MustCompile(`job_\w+`).FindString(got.Text)
	expect(t, call(session(t, "1"), t, set, "terminal", args{"command": "pwd"}), false, dir+"\n") // it has not gone anywhere
	open()
	like(t, processCall(t, set, "wait", id, nil), false, "went on\n\\["+id+": exit code 0 after TIME\\]\n")
}

func TestKillEndsAllOfAJob(t *testing.T) {
	t.Parallel()
	for _, pty := range []bool{false, true} {
		set, _ := newSet(t)
		seconds := fmt.Sprint("98765.5", pty)
		seconds = strings.NewReplacer("true", "1", "false", "2").Replace(seconds)
		id := background(t.Context(), t, set, strings.ReplaceAll("(setsid sleep N &); (nohup sleep N >/dev/null 2>&1 &); echo ready; sleep N; true", "N", seconds), pty)
		shows(t, set, id, "ready")
		eventually(t, "its processes are there", func() bool { return len(living(t, "sleep\x00"+seconds)) == 3 })
		like(t, processCall(t, set, "kill", id, nil), false, "(?s).*ready\n.*\\["+id+": killed after TIME\\]\n")
		if left := living(t, seconds); left != nil {
			t.Errorf("terminal %v: still there: %q", pty, left)
		}
	}
}

// The promise that nothing of a call stays holds beside a job, and does not take
// anything from it.
func TestCallsLeaveNothingBesideAJob(t *testing.T) {
	set, _ := newSet(t)
	id := background(t.Context(), t, set, "(setsid sleep 98764.5 &); echo ready; sleep 98764.5; true", false)
	shows(t, set, id, "ready")
	eventually(t, "the job has its processes", func() bool { return len(living(t, "sleep\x0098764.5")) == 2 })
	for _, command := range []string{
		"sleep 98763.5 & echo hi", "setsid sleep 98763.5 & echo hi", "(setsid sh -c 'sleep 98763.5 & sleep 98763.5' &) ; echo hi",
		"(env -i /bin/sh -c 'setsid sleep 98763.5 & true' &) ; echo hi",
	} {
		began := time.Now()
		expect(t, call(t.Context(), t, set, "terminal", args{"command": command}), false, "hi\n")
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s: took %s", command, took)
		}
		if left := living(t, "98763.5"); left != nil {
			t.Errorf("%s: still there: %q", command, left)
		}
	}
	if left := living(t, "sleep\x0098764.5"); len(left) != 2 {
		t.Errorf("of the job's two processes there are %q", left)
	}
	expect(t, processCall(t, set, "list", "", nil), false, id+"  running for ")
}

func TestCancelEndsTheCommandAndNotTheJobs(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	open := gate(t, dir, "gate")
	ctx, cancel := context.WithCancel(t.Context())
	id := background(ctx, t, set, "echo ready; sleep 98762.5", false)
	shows(t, set, id, "ready")
	go func() {
		open() // returns when the command has come to it
		cancel()
	}()
	got, err := set.Run(ctx, toolCall("terminal", `{"command":"read x <gate; sleep 98761.5"}`))
	if err != nil || got.Text != "(no output)\n[cancelled]\n" || living(t, "98761.5") != nil {
		t.Errorf("got %+v, %v, and there is %q", got, err, living(t, "98761.5"))
	}
	if _, err := set.Run(ctx, toolCall("process", `{"action":"wait","session_id":"`+id+`"}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting: %v", err)
	}
	got, err = set.Run(ctx, toolCall("terminal", `{"command":"sleep 98761.5","background":true}`))
	if !errors.Is(err, context.Canceled) || living(t, "98761.5") != nil {
		t.Errorf("after the end of the turn: %+v, %v", got, err)
	}
	expect(t, processCall(t, set, "poll", id, nil), false, "running for")
	if len(living(t, "98762.5")) == 0 {
		t.Error("the job is gone")
	}
}

func TestTypingIntoAJob(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	id := background(t.Context(), t, set, `printf 'name? '; read name; echo "hello $name"; cat; printf 'sure? '; read -n 1 key; echo " so $key"`, true)
	shows(t, set, id, "name? ")
	like(t, processCall(t, set, "write", id, nil), true, "The argument data is missing; .*")
	like(t, processCall(t, set, "write", id, args{"data": ""}), true, "The argument data is empty; .*")
	like(t, processCall(t, set, "write", id, args{"data": strings.Repeat("x", maxTyped+1)}), true, "That is too much to type, .*")
	like(t, processCall(t, set, "write", id, args{"data": "an"}), false, "Typed.*")
	like(t, processCall(t, set, "submit", id, args{"data": "na"}), false, "Typed.*")
	shows(t, set, id, "hello anna\n")
	like(t, processCall(t, set, "close", id, nil), false, "Typed.*")
	shows(t, set, id, "sure? ")
	like(t, processCall(t, set, "write", id, args{"data": "y"}), false, "Typed.*")
	like(t, processCall(t, set, "wait", id, nil), false, "name\\? anna\nhello anna\nsure\\? y so y\n\\["+id+": exit code 0 after TIME\\]\n")
}

func TestLogPagesThroughTheOutput(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	short := background(t.Context(), t, set, "printf 'a\\nb\\nc\\nd'", false)
	long := background(t.Context(), t, set, "seq 1 100000", false)
	wide := background(t.Context(), t, set, "head -c 100000 /dev/zero | tr '\\0' x", false)
	none := background(t.Context(), t, set, "true", false)
	for _, id := range []string{short, long, wide, none} {
		expect(t, processCall(t, set, "wait", id, nil), false, "exit code 0")
	}
	const end = "\\[job_.*: exit code 0 after TIME\\]\n"
	tests := []struct {
		name, id string
		args     args
		want     string
	}{
		{"all", short, nil, "a\nb\nc\nd\n" + end},
		{"the last ones", short, args{"limit": 2}, "c\nd\n\\[lines 3 to 4 of 4\\]\n" + end},
		{"from one", short, args{"offset": 2, "limit": 2}, "b\nc\n\\[lines 2 to 3 of 4; go on with offset 4\\]\n" + end},
		{"beyond the end", short, args{"offset": 5}, "\\[it has 4 lines; line 5 is beyond its end\\]\n" + end},
		{"below zero", short, args{"offset": -3, "limit": -3}, "d\n\\[lines 4 to 4 of 4\\]\n" + end},
		{"nothing", none, nil, "\\(no output\\)\n" + end},
		{"end of a long one", long, args{"limit": 1}, "100000\n\\[lines 100000 to 100000 of 100000\\]\n" + end},
		{"middle of a long one", long, args{"offset": 99000, "limit": 2}, "99000\n99001\n\\[lines 99000 to 99001 of 100000; go on with offset 99002\\]\n" + end},
		{
			"what is not kept", long, args{"offset": 5, "limit": 1}, `666\d\d` + "\n\\[lines \\d+ to \\d+ of 100000; go on with offset \\d+; those before are not kept here; read_file pages through \\.hermes/output/" + long + "\\.txt\\]\n" + end,
		},
		{"one wide line", wide, nil, strings.Repeat("x", maxCommandOutput) + "\n" + end},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			like(t, processCall(t, set, "log", test.id, test.args), false, test.want)
		})
	}
	if got := processCall(t, set, "log", long, args{"limit": 99999, "offset": 98000}); len(got.Text) > maxCommandOutput || !strings.Contains(got.Text, "go on with offset 100000") {
		t.Errorf("%d bytes, …%s", len(got.Text), got.Text[len(got.Text)-200:])
	}
	got := processCall(t, set, "poll", short, nil)
	if got.Text = strings.ReplaceAll(got.Text, "\n", ""); !strings.HasPrefix(got.Text, "(nothing new)") {
		t.Errorf("got %s", got.Text)
	}
}

func TestJobsOutputIsBounded(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	open := gate(t, dir, "gate")
	id := background(t.Context(), t, set, "head -c 3000000 /dev/urandom; read x <gate; yes | head -c 10000000; printf 'ü\\n'", false)
	live, _, problem := set.jobs.find(t.Context(), id)
	if problem != "" {
		t.Fatal(problem)
	}
	eventually(t, "the random part has come", func() bool { return live.command.output.view(1).received > 1_000_000 })
	first := processCall(t, set, "poll", id, nil)
	open()
	second := processCall(t, set, "wait", id, nil)
	for _, got := range []Result{first, second} {
		if got.Failed || !utf8.ValidString(got.Text) || len(got.Text) > maxCommandOutput+300 || !strings.Contains(got.Text, "bytes left out; read_file pages through .hermes/output/"+id+".txt") {
			t.Errorf("failed %v, %d bytes: %.100q", got.Failed, len(got.Text), got.Text)
		}
	}
	if !strings.Contains(second.Text, "y\nü\n["+id+": exit code 0") {
		t.Errorf("it ends with %q", second.Text[len(second.Text)-100:])
	}
	record, err := set.jobs.records.Job(t.Context(), id)
	if err != nil || len(record.Output) > maxTail || len(record.Output) < maxTail-utf8.UTFMax {
		t.Errorf("%d bytes are kept, %v", len(record.Output), err)
	}
	if size := len(content(t, dir, ".hermes/output/"+id+".txt")); size > maxSpill {
		t.Errorf("the file has %d bytes", size)
	}
}

func TestOnlySoManyJobsRun(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	var first string
	for range maxJobs {
		first = background(t.Context(), t, set, "sleep 98760.5", false)
	}
	got := call(t.Context(), t, set, "terminal", args{"command": "touch made", "background": true})
	if expect(t, got, true, "The command was not run. 16 background jobs run, and more may not."); strings.Count(got.Text, "  sleep 98760.5") != maxJobs || !strings.Contains(got.Text, first) {
		t.Errorf("got %s", got.Text)
	}
	got = call(t.Context(), t, set, "terminal", args{"command": "echo begun; sleep 98760.25", "timeout": 1})
	expect(t, got, true, "begun\n[it could not go on in the background: 16 background jobs run")
	expect(t, got, true, "[timed out after 1")
	if left := living(t, "98760.25"); left != nil || strings.Contains(tree(t, dir), "made") {
		t.Errorf("it ran, or still runs: %q", left)
	}
	expect(t, processCall(t, set, "kill", first, nil), false, "killed")
	background(t.Context(), t, set, "true", false)
}

func TestJobsNeedTheToolThatFollowsThem(t *testing.T) {
	t.Parallel()
	set, err := NewSet(kept(Options{Workspace: t.TempDir(), Sandbox: box, Enabled: []string{"terminal"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "touch made", "background": true}), true, "the tool process is not enabled")
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "echo begun; sleep 60", "timeout": 1}), true, "begun\n[it could not go on in the background: the tool process is not enabled]\n[timed out after 1")
}
