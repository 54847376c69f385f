package supervisor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClientStopsAGateway(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	g := h.gateway("alice").run()
	g.await("alice", StateReady)
	said, err := http.Get(g.status("alice").URL + "/once")
	if err != nil {
		t.Fatal(err)
	}
	defer said.Body.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- g.client().Stop(ctx, StopRequest{}) }()
	eventually(t, "the gateway stops and its worker drains", func() bool {
		status, err := g.client().Status(t.Context())
		return err == nil && status.Stopping && status.Profiles[0].State == StateDraining
	})
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Errorf("stop of a busy gateway returned %v, want the end of its context", err)
	}
	if err := g.client().Stop(t.Context(), StopRequest{Now: true}); err != nil {
		t.Error(err)
	}
	if err := g.awaitEnd(); err != nil {
		t.Errorf("run returned %v", err)
	}
	if _, err := get(port, "/"); err == nil {
		t.Error("the port still answers")
	}
	if err := g.client().Stop(t.Context(), StopRequest{}); err == nil {
		t.Error("stop of a gateway that is gone returned no error")
	}
	h.gateway("alice").run().await("alice", StateReady) // at once
}

func TestGatewaysOfAHomeAreFound(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, name := range []string{"alice", "bob"} {
		h.add(name, "")
	}
	if found, err := Gateways(t.Context(), h.open()); err != nil || len(found) != 0 {
		t.Fatalf("a home without gateways has %d, %v", len(found), err)
	}
	h.gateway("bob").run()
	h.gateway().run()
	dead, err := net.Listen("unix", filepath.Join(h.dir, runDir, "carol.sock"))
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	found, err := Gateways(t.Context(), h.open())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range found {
		names = append(names, c.Name())
		if status, err := c.Status(t.Context()); err != nil || status.PID != os.Getpid() {
			t.Errorf("status of %s: %+v, %v", c.Name(), status, err)
		}
	}
	if strings.Join(names, " ") != "all bob" {
		t.Errorf("found %q", names)
	}
}

func TestSocketIsPrivateAndReplacesADeadOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		ln, err := openSocket(t.Context(), dir, "all")
		if err != nil {
			t.Fatal(err)
		}
		path := ln.Addr().String()
		for path, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, %v, want %v", path, info.Mode(), err, want)
			}
		}
		if _, err := listenUnix(t.Context(), path); err == nil {
			t.Error("took the socket of a process that answers")
		}
		ln.(*net.UnixListener).SetUnlinkOnClose(false) // as if it had been killed
		ln.Close()
	}
}

func TestSocketOfAHomeWithALongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 20))
	h := home{t, dir}
	h.add("alice", "")
	g := h.gateway("alice")
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- g.Supervisor.Run(ctx) }()
	var found []*Client
	eventually(t, "the gateway is found", func() bool {
		found, _ = Gateways(t.Context(), h.open())
		return len(found) == 1
	})
	fallback := filepath.Dir(found[0].path)
	t.Cleanup(func() { os.RemoveAll(fallback) })
	if info, err := os.Lstat(fallback); err != nil || info.Mode().Perm() != 0o700 || filepath.Dir(fallback) != filepath.Clean(os.TempDir()) {
		t.Errorf("socket is in %s, mode %v, %v", fallback, info.Mode(), err)
	}
	if status, err := found[0].Status(t.Context()); err != nil || status.Home != h.dir {
		t.Errorf("status is %+v, %v", status, err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestForeignSocketDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	elsewhere, path := t.TempDir(), filepath.Join(t.TempDir(), "hermes")
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	if err := (socketDir{path: path, open: true}).make(); err == nil {
		t.Error("a link that anybody may have made was followed")
	}
	if os.Getuid() == 0 {
		other := t.TempDir()
		if err := os.Chown(other, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if err := (socketDir{path: other, open: true}).make(); err == nil || !strings.Contains(err.Error(), "12345") {
			t.Errorf("a directory of another user gave %v", err)
		}
	}
}

func TestControlRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	g := h.gateway("alice").run()
	tests := []struct {
		name, method, path string
		body               any
		want               string
	}{
		{"path", http.MethodGet, "/v1/secrets", nil, "404"},
		{"method", http.MethodGet, pathStop, nil, "405"},
		{"no object", http.MethodPost, pathStop, "now", "JSON object"},
		{"wrong type", http.MethodPost, pathStop, map[string]int{"now": 1}, "JSON object"},
		{"huge", http.MethodPost, pathStop, strings.Repeat("x", 1<<20), "JSON object"},
	}
	for _, test := range tests {
		if err := g.client().call(t.Context(), test.method, test.path, test.body, nil); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.name, err, test.want)
		}
	}
	if status, err := g.client().Status(t.Context()); err != nil || status.Stopping {
		t.Errorf("after bad calls: %+v, %v", status, err)
	}
}
