package handoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// The processes of tests end by syscall.Exit: os.Exit has the race detector wait for a second first.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == Subcommand {
		syscall.Exit(runChild())
	}
	goleak.VerifyTestMain(m)
}

// runChild is the test binary as a child: it answers one connection with what it
// was told, and leaves when it is asked to.
func runChild() int {
	child, start, ln, err := Accept()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer child.Close()
	if err := child.Ready(); err != nil {
		return 2
	}
	conn, err := ln.Accept()
	if err != nil {
		return 3
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 4
	}
	dir, err := os.Getwd()
	if err != nil || dir != start.Paths.Profile {
		return 6
	}
	fmt.Fprintf(conn, "%s %d fds %s", start.Profile, len(fds), strings.Join(os.Environ(), " "))
	conn.Close()
	if err := child.Run(context.Background()); err != nil {
		return 5
	}
	<-child.Draining()
	return 7
}

func TestChildIsStartedAndToldAndLeaves(t *testing.T) {
	t.Parallel()
	parent, end, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dir, given := t.TempDir(), belongings(t, ln)
	cmd := exec.Command(os.Args[0], Subcommand)
	cmd.Env = Environ([]string{"PATH=/bin", "API_SERVER_KEY=secret", "OPENAI_API_KEY=sk", "TZ=UTC", "BASH_FUNC_x%%=()"})
	cmd.ExtraFiles = []*os.File{end}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end.Close()
	if err := parent.Give(StartMessage(&Start{Version: Version, Profile: "alice", Paths: Paths{Profile: dir}}), given, time.Second); err != nil {
		t.Fatal(err)
	}
	if m, err := parent.Receive(); err != nil || m.Kind != KindReady {
		t.Fatalf("first message: %v, %v, want ready", m.Kind, err)
	}
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if got, want := string(said), "PATH=/bin TZ=UTC GOMAXPROCS=1"; !strings.HasPrefix(got, "alice ") || !strings.HasSuffix(got, " fds "+want) {
		t.Errorf("child said %q, want the profile and the environment %q", got, want)
	}
	if err := parent.Close(); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
		t.Errorf("child ended with %v, want exit status 7 after the end of file", err)
	}
}

func TestWorkerStartedByHandSaysSo(t *testing.T) {
	t.Parallel()
	out, err := exec.Command(os.Args[0], Subcommand).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "hermes gateway") {
		t.Errorf("got %v and %q, want a refusal that names hermes gateway", err, out)
	}
}

// bubble is a test with a fake clock, and a child that runs in it.
type bubble struct {
	*testing.T
	child      *Child
	supervisor net.Conn
}

func inBubble(t *testing.T, test func(t bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		child := newChild(theirs, BeatEvery)
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- child.Run(ctx) }()
		test(bubble{t, child, ours})
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		ours.Close()
		child.Close()
	})
}

func TestChildBeatsEveryFiveSeconds(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t bubble) {
		began := time.Now()
		messages := NewDecoder(t.supervisor)
		for i := range 3 {
			m, err := messages.Decode()
			if err != nil || m.Kind != KindBeat {
				t.Fatalf("message %d: %v, %v, want a beat", i, m, err)
			}
			if got, want := time.Since(began), time.Duration(i+1)*BeatEvery; got != want {
				t.Errorf("beat %d came after %v, want %v", i, got, want)
			}
		}
	})
}

func TestBusyNeverWaitsAndSendsTheNewest(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t bubble) {
		for n := range 100 { // nobody reads yet
			if err := t.child.Busy(n+1, n); err != nil {
				t.Fatal(err)
			}
		}
		messages := NewDecoder(t.supervisor)
		for last := 0; last != 100; {
			m, err := messages.Decode()
			if err != nil {
				t.Fatal(err)
			}
			if m.Kind == KindBusy {
				if last = m.Busy; m.Jobs != last-1 {
					t.Errorf("%d turns come with %d jobs", last, m.Jobs)
				}
			}
		}
	})
}

// What stands around commands is told once, and again to the next parent; a level that
// nobody knows is no message.
func TestWallsAreTold(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t bubble) {
		t.child.Walls(Walls{Level: "REDUCED", Why: "a test says so"})
		messages := NewDecoder(t.supervisor)
		first, err := messages.Decode()
		if err != nil || first.Kind != KindWalls || *first.Walls != (Walls{Level: "REDUCED", Why: "a test says so"}) {
			t.Errorf("the first message is %+v, %v", first, err)
		}
		if second, err := messages.Decode(); err != nil || second.Kind != KindBeat {
			t.Errorf("the second message is %+v, %v", second, err)
		}
	})
	for _, line := range []string{`{"kind":"walls"}`, `{"kind":"walls","walls":{}}`, `{"kind":"walls","walls":{"level":"\u001b[31mFULL"}}`} {
		if m, err := NewDecoder(strings.NewReader(line + "\n")).Decode(); err == nil {
			t.Errorf("%s is taken for %+v", line, m)
		}
	}
	for level, parts := range map[string]bool{LevelFull: true, "NAMESPACES": true, "REDUCED": true, "WEAK": false, LevelNone: false, "": false} {
		if (Walls{Level: level}).Part() != parts {
			t.Errorf("at level %q profiles are kept apart: %v", level, !parts)
		}
	}
}

func TestChildHearsDrainAndStop(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t bubble) {
		fmt.Fprintln(t.supervisor, `{"kind":"something new"}`)
		fmt.Fprintln(t.supervisor, `{"kind":"drain","limit":900000000000,"patient":true}`)
		<-t.child.Draining()
		if got := t.child.DrainLimit(); got != 15*time.Minute {
			t.Errorf("limit of the drain is %v", got)
		}
		select {
		case <-t.child.Hasty():
			t.Error("a patient drain leaves the jobs alone")
		case <-t.child.Hurry():
			t.Error("a drain hurried the child")
		default:
		}
		fmt.Fprintln(t.supervisor, `{"kind":"drain"}`)
		<-t.child.Hasty()
		fmt.Fprintln(t.supervisor, `{"kind":"stop"}`)
		<-t.child.Hurry()
	})
}

func TestLostParentIsADrain(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]string{
		"clean end": "", "cut message": `{"kind":"dr`, "garbage": "no json\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := net.Pipe()
			child := newChild(theirs, BeatEvery)
			defer child.Close()
			go func() {
				io.WriteString(ours, last)
				ours.Close()
			}()
			err := child.Run(t.Context())
			if (err != nil) != (last != "") {
				t.Errorf("run returned %v", err)
			}
			<-child.Draining()
			if child.Busy(1, 0) == nil {
				t.Error("Busy does not tell that the parent is gone")
			}
		})
	}
}

func TestStartIsChecked(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, sent, want string }{
		{"other message first", `{"kind":"drain"}` + "\n", `got a "drain" message`},
		{"no start in it", `{"kind":"start"}` + "\n", "empty"},
		{"other version", `{"kind":"start","start":{"version":99}}` + "\n", "restart the gateway"},
		{"not json", "sk-secret\n", "not valid JSON"},
		{"cut", `{"kind":"start","start":{"ver`, "unexpected EOF"},
		{"nothing", "", ErrUnused.Error()},
		{"nothing with it", `{"kind":"start","start":{"version":2}}` + "\n", "did not"},
		{"less with it than it says", `{"kind":"start","carries":["lock","listener"],"start":{"version":2}}` + "\n", "0 descriptors came where 2"},
		{"too long", strings.Repeat("x", MaxMessage+1), "longer than"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			parent, end, err := Pair()
			if err != nil {
				t.Fatal(err)
			}
			conn, err := unixConn(end)
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				io.WriteString(parent.conn, test.sent)
				parent.Close()
			}()
			_, _, _, err = accept(conn)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "sk-") {
				t.Errorf("got %v, want an error with %q and without the text", err, test.want)
			}
		})
	}
}

func TestTooLongMessageIsNotSent(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := Encode(&out, Message{Kind: KindStart, Start: &Start{Redact: []string{strings.Repeat("x", MaxMessage)}}})
	if !errors.Is(err, ErrTooLong) || out.Len() > 0 {
		t.Errorf("got %v and %d bytes, want ErrTooLong and none", err, out.Len())
	}
}

func TestStartPrintsNoSecret(t *testing.T) {
	t.Parallel()
	start := Start{Profile: "alice", Model: Model{APIKey: "sk-secret"}, Redact: []string{"sk-secret"}}
	m := Message{Kind: KindStart, Start: &start}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, value := range []any{start, &start, m} {
			if got := fmt.Sprintf(format, value); strings.Contains(got, "sk-secret") {
				t.Errorf("%s prints %s", format, got)
			}
		}
	}
}

func TestEnvironKeepsTheListAndNothingElse(t *testing.T) {
	t.Parallel()
	got := Environ([]string{"HOME=/h", "API_SERVER_KEY=k", "PATHX=1", "LC_ALL=C=D", "OPENAI_API_KEY=k", "odd", "HERMES_HOME=/x"})
	if want := []string{"HOME=/h", "LC_ALL=C=D", "GOMAXPROCS=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestChildTakesSettingsOverAndSaysSo(t *testing.T) {
	t.Parallel()
	var got []Live
	ours, theirs := net.Pipe()
	child := newChild(theirs, time.Hour)
	child.Apply(func(l Live) { got = append(got, l) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- child.Run(ctx) }()
	want := Live{KeySHA256: "abc", MaxConcurrentRuns: 3, Limits: Limits{TokensPerDay: 7}, Redact: []string{"secret"}}
	if err := Encode(ours, Message{Kind: KindSettings, Live: &want, Revision: 2}); err != nil {
		t.Fatal(err)
	}
	m, err := NewDecoder(ours).Decode()
	if err != nil || m.Kind != KindApplied || m.Revision != 2 {
		t.Errorf("the answer is %+v, %v", m, err)
	}
	if len(got) != 1 || !got[0].Equal(want) || strings.Contains(fmt.Sprintf("%v %+v %#v", got, got, got), "secret") {
		t.Errorf("settings are %v", got)
	}
	cancel()
	ours.Close()
	<-done
}

// TestEveryFieldOfLiveIsTakenFromAStart fails when a field is added to Live that
// its two methods do not know.
func TestEveryFieldOfLiveIsTakenFromAStart(t *testing.T) {
	t.Parallel()
	var full Live
	fields := reflect.ValueOf(&full).Elem()
	for _, f := range fields.Fields() {
		switch f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Int, reflect.Int64:
			f.SetInt(1)
		case reflect.Slice:
			f.Set(reflect.ValueOf([]string{"x"}))
		case reflect.Struct:
			f.Field(0).SetInt(1)
		default:
			t.Fatalf("a field of kind %s", f.Kind())
		}
	}
	start := Start{Profile: "alice"}.With(full)
	if !start.Live().Equal(full) {
		t.Errorf("it comes back as %+v", start.Live())
	}
	if other := (Start{Profile: "alice"}); !start.Alike(other) || start.Live().Equal(other.Live()) {
		t.Error("live settings make another worker necessary, or no difference")
	}
	if start.Alike(Start{Profile: "bob"}) {
		t.Error("another profile makes no difference")
	}
}
