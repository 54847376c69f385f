package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hermes/profiles"
)

func TestGatewayServesEachProfileOnItsOwnPort(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	alice, bob := h.add("alice", ""), h.add("bob", "")
	g := h.gateway().run()
	for name, port := range map[string]int{"alice": alice, "bob": bob} {
		p := g.await(name, StateReady)
		if got, want := mustGet(t, port, "/"), fmt.Sprintf("%s %d", name, p.PID); got != want {
			t.Errorf("port %d answers %q, want %q", port, got, want)
		}
		if p.Port != port || p.URL != fmt.Sprintf("http://127.0.0.1:%d", port) || p.Generation != 1 || !p.Keyless || p.Since.IsZero() {
			t.Errorf("status is %+v", p)
		}
		if p.Memory == nil || p.Memory.PSS < 1<<20 || p.Memory.RSS < p.Memory.PSS {
			t.Errorf("memory of %s is %+v", name, p.Memory)
		}
		line := fmt.Sprintf("[API Server] API server listening on http://127.0.0.1:%d (%s)\n", port, name)
		eventually(t, "it is said where "+name+" listens", func() bool { return strings.Contains(g.out.String(), line) })
	}
	status, err := g.client().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.API != 1 || status.PID != os.Getpid() || status.Version != "test" || status.Mode != ModeAll || status.Stopping || status.Home != h.dir {
		t.Errorf("status is %+v", status)
	}
	g.signals <- syscall.SIGTERM
	if err := g.awaitEnd(); err != nil {
		t.Errorf("run returned %v", err)
	}
	if _, err := get(alice, "/"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a stopped gateway's port gives %v, want a refusal", err)
	}
}

func TestSingleProfileGateway(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.add("bob", "")
	g := h.gateway("alice").run()
	g.await("alice", StateReady)
	want := fmt.Sprintf("[API Server] API server listening on http://127.0.0.1:%d\n", port)
	eventually(t, "it is said where alice listens", func() bool { return strings.HasPrefix(g.out.String(), want) })
	if !strings.Contains(g.out.String(), "no key is set") {
		t.Errorf("output %q does not say that there is no key", g.out)
	}
	if p := g.status("bob"); p.Name != "" {
		t.Errorf("bob is served too: %+v", p)
	}
}

func TestWorkerIsBornWithNothingButWhatItNeeds(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.write("alice", ".env", fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\nAPI_SERVER_KEY=canary-0123456789abcdef\nOPENAI_API_KEY=canary-sk\n", port))
	g := h.gateway()
	g.opts.Environ = []string{"PATH=/bin", "HOME=/h", "TZ=UTC", "API_SERVER_KEY=canary-of-the-gateway", "OPENAI_API_KEY=canary", "HERMES_HOME=/x", "LD_PRELOAD=canary"}
	g.run().await("alice", StateReady)
	want := os.Args[0] + "\nworker\nPATH=/bin\nHOME=/h\nTZ=UTC\nGOMAXPROCS=1\nfd=0\nfd=1\nfd=2\nfd=3"
	if got := mustGet(t, port, "/born"); got != want {
		t.Errorf("worker was born with\n%s\nwant\n%s", got, want)
	}
	status, err := g.client().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(h.profile("alice"), "logs/worker.log"))
	if err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{"status": fmt.Sprintf("%+v", status), "worker log": string(log), "log": g.log.String(), "output": g.out.String()} {
		if strings.Contains(text, "canary") {
			t.Errorf("a secret is in the %s: %s", what, text)
		}
	}
	if status.Profiles[0].Keyless {
		t.Error("a profile with a key is called keyless")
	}
}

func TestSecondGatewayIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		first, second []profiles.Name
		held          profiles.Name
	}{
		{"one profile twice", []profiles.Name{"alice"}, []profiles.Name{"alice"}, "alice"},
		{"one of all", nil, []profiles.Name{"alice"}, "alice"},
		{"all twice", nil, nil, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.add("alice", "")
			g := h.gateway(test.first...).run()
			p := g.await("alice", StateReady)
			err := h.gateway(test.second...).Supervisor.Run(t.Context())
			held, ok := errors.AsType[*HeldError](err)
			if !ok || held.PID != os.Getpid() || held.Profile != test.held || !strings.Contains(err.Error(), "hermes gateway stop") {
				t.Errorf("run returned %#v (%v), want a HeldError that names pid %d", err, err, os.Getpid())
			}
			if now := g.await("alice", StateReady); now.PID != p.PID {
				t.Errorf("the first gateway was touched: %+v", now)
			}
		})
	}
}

func TestProfileThatAnotherGatewayServesIsBlockedAlone(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	h.add("bob", "")
	one := h.gateway("alice").run()
	one.await("alice", StateReady)
	all := h.gateway().run()
	all.await("bob", StateReady)
	if p := all.await("alice", StateBlocked); !strings.Contains(p.Reason, fmt.Sprintf("pid %d", os.Getpid())) || p.Retry.IsZero() {
		t.Errorf("status is %+v", p)
	}
	one.signals <- syscall.SIGTERM
	if err := one.awaitEnd(); err != nil {
		t.Fatal(err)
	}
	all.await("alice", StateReady)
}

func TestAFewProfilesStartAtATime(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, dir := range []string{"starting", "counted"} {
		if err := os.Mkdir(filepath.Join(h.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const number = 12
	for i := range number {
		h.add(fmt.Sprintf("p%02d", i), "count "+h.dir)
	}
	g := h.gateway()
	g.parallel = 3
	g.run()
	for i := range number {
		g.await(fmt.Sprintf("p%02d", i), StateReady)
		count, err := os.ReadFile(filepath.Join(h.dir, "counted", fmt.Sprintf("p%02d", i)))
		if n, _ := strconv.Atoi(string(count)); err != nil || n < 1 || n > 3 {
			t.Errorf("%s profiles were starting at once, want at most 3 (%v)", count, err)
		}
	}
}
