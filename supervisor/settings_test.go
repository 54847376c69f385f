package supervisor

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hermes/profiles"
	"hermes/supervisor/handoff"
)

func TestWorkerThatRefusesItsSettingsWaitsForAChange(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "exit 78")
	h.add("bob", "")
	g := h.gateway().run()
	p := g.await("alice", StateBadConfig)
	if !strings.Contains(p.Reason, "I do not like it here") || p.LastExit == nil || p.LastExit.Code != 78 {
		t.Errorf("status is %+v", p)
	}
	bob := g.await("bob", StateReady)
	h.write("alice", "script", "")
	h.write("bob", "config.yaml", "agent: {max_iterations: 7}\n")
	bob = g.awaitNext("bob", bob.PID) // a later change has been seen
	if p := g.status("alice"); p.State != StateBadConfig || p.Generation != 1 {
		t.Errorf("alice did not wait for a change: %+v", p)
	}
	h.write("alice", "config.yaml", "# changed\n")
	g.await("alice", StateReady)
	if p := g.status("bob"); p.PID != bob.PID {
		t.Errorf("bob was touched: %+v", p)
	}
}

func TestBadSettingsAreNamedAndTheOthersRun(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	port := h.add("bob", "")
	h.write("bob", "config.yaml", "agent:\n  max_iterations: many\n")
	g := h.gateway().run()
	g.await("alice", StateReady)
	p := g.await("bob", StateBadConfig)
	for _, part := range []string{filepath.Join(h.profile("bob"), "config.yaml"), "2", "agent.max_iterations"} {
		if !strings.Contains(p.Reason, part) {
			t.Errorf("reason %q does not name %s", p.Reason, part)
		}
	}
	h.write("bob", "config.yaml", "agent:\n  max_iterations: 7\n")
	g.await("bob", StateReady)
	mustGet(t, port, "/")
}

func TestSingleGatewayRefusesBadSettings(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	h.write("alice", "config.yaml", "agent:\n  max_iterations: many\n")
	err := h.gateway("alice").Supervisor.Run(t.Context())
	if bad, ok := errors.AsType[*SettingsError](err); !ok || bad.Profile != "alice" || !strings.Contains(err.Error(), "max_iterations") {
		t.Errorf("run returned %v, want a SettingsError that names the key", err)
	}
}

func TestNothingEnabledIsAnError(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write("alice", ".env", "API_SERVER_ENABLED=false\n")
	h.write("alice", "config.yaml", "")
	for _, names := range [][]profiles.Name{nil, {"alice"}} {
		err := h.gateway(names...).Supervisor.Run(t.Context())
		none, ok := errors.AsType[*NotEnabledError](err)
		if !ok || (names != nil && none.Profile != "alice") {
			t.Errorf("run of %v returned %v, want a NotEnabledError", names, err)
		}
	}
	fresh := home{t, filepath.Join(t.TempDir(), "fresh")}
	for _, names := range [][]profiles.Name{nil, {profiles.Default}} {
		err := fresh.gateway(names...).Supervisor.Run(t.Context())
		if _, ok := errors.AsType[*NotEnabledError](err); !ok {
			t.Errorf("run of %v in a home that does not exist returned %v, want a NotEnabledError", names, err)
		}
	}
	if _, err := os.Stat(fresh.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a home was made: %v", err)
	}
	if err := h.gateway("carol").Supervisor.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "carol") {
		t.Errorf("run of a profile that does not exist returned %v", err)
	}
}

func TestTakenPortIsNamedAndWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	stranger, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	g := h.gateway("alice").run()
	p := g.await("alice", StateBlocked)
	if !strings.Contains(p.Reason, fmt.Sprintf("port %d is taken by another program", port)) || p.Port != port || p.URL != "" {
		t.Errorf("status is %+v", p)
	}
	stranger.Close()
	g.await("alice", StateReady)
	mustGet(t, port, "/")
}

func TestSecondProfileWithAPortIsNamedAsConflict(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.add("bob", "")
	h.write("bob", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\n", port))
	g := h.gateway().run()
	g.await("alice", StateReady)
	p := g.await("bob", StateBlocked)
	for _, part := range []string{fmt.Sprintf("port %d", port), "alice", "hermes -p bob config set API_SERVER_PORT"} {
		if !strings.Contains(p.Reason, part) {
			t.Errorf("reason %q does not name %q", p.Reason, part)
		}
	}
	other := freePort(t)
	h.write("bob", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\n", other))
	g.await("bob", StateReady)
	mustGet(t, other, "/")
}

func TestProfilesComeAndGoUnderAGatewayForAll(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	g := h.gateway().run()
	alice := g.await("alice", StateReady)
	port := h.add("bob", "")
	bob := g.await("bob", StateReady)
	mustGet(t, port, "/")
	if err := os.Rename(h.profile("bob"), h.dir+"/away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "bob is forgotten", func() bool { return g.status("bob").Name == "" && !alive(bob.PID) })
	if _, err := os.Stat(h.profile("bob")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written into bob's place: %v", err)
	}
	if err := os.Rename(h.dir+"/away", h.profile("bob")); err != nil {
		t.Fatal(err)
	}
	g.await("bob", StateReady)
	if p := g.status("alice"); p.PID != alice.PID {
		t.Errorf("alice was touched: %+v", p)
	}
}

func TestSettingsThatAreTooMuchForAWorkerStartNone(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	env := fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\n", h.add("alice", ""))
	// Six bytes each in JSON: a file that is not too long can make a message that is.
	var secrets strings.Builder
	for i := range 60 {
		fmt.Fprintf(&secrets, "SERVICE_%d_KEY='%s%d'\n", i, strings.Repeat("<", 4000), i)
	}
	h.write("alice", ".env", env+secrets.String())
	g := h.gateway().run()
	if p := g.await("alice", StateBadConfig); !strings.Contains(p.Reason, "1 MiB") || p.Generation != 0 {
		t.Errorf("status is %s, generation %d", p.Reason, p.Generation)
	}
	h.write("alice", ".env", env)
	g.await("alice", StateReady)
}

func TestWorkerThatCannotBeToldItsSettingsIsKilled(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	profile, err := h.open().Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := profile.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out := newOutput("alice", workerLog(profile, logLimits{size: 1 << 20, files: 2}), testRate, func(error) {})
	defer out.close(patience)
	p, err := startProcess(spawn{
		maker: maker{exe: os.Args[0], environ: os.Environ(), children: kids}, listener: ln.(*net.TCPListener), lock: lock,
		start: handoff.Start{Profile: strings.Repeat("x", handoff.MaxMessage)}, output: out,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.flow(func(handoff.Message) {})
	p.await()
	exit := p.end(t.Context())
	if !strings.Contains(exit.Reason, handoff.ErrTooLong.Error()) || exit.Signal != "SIGKILL" {
		t.Errorf("exit is %+v", exit)
	}
}
