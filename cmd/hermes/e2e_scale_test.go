package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"hermes/supervisor"
)

// profile is what the gateway says of a profile.
func (m *machine) profile(name string) supervisor.ProfileStatus {
	m.t.Helper()
	for _, p := range m.status().Profiles {
		if p.Name == name {
			return p
		}
	}
	m.t.Fatalf("%s is not served", name)
	return supervisor.ProfileStatus{}
}

// populate makes profiles without a run of hermes for each, and returns their
// addresses.
func (m *machine) populate(number int) (urls []string) {
	m.t.Helper()
	for i := range number {
		dir := filepath.Join(m.home, "profiles", fmt.Sprintf("p%04d", i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			m.t.Fatal(err)
		}
		port := freePort(m.t)
		env := fmt.Sprintf("API_SERVER_ENABLED=true\nAPI_SERVER_PORT=%d\nAPI_SERVER_KEY=k7Qw9zXv2mNp4rTs8uYb-%04d\n", port, i)
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(env), 0o600); err != nil {
			m.t.Fatal(err)
		}
		urls = append(urls, fmt.Sprintf("http://127.0.0.1:%d/health", port))
	}
	return urls
}

// healthy asks all of them, a few at a time.
func healthy(t *testing.T, urls []string) {
	t.Helper()
	all, ctx := errgroup.WithContext(t.Context())
	all.SetLimit(32)
	for _, url := range urls {
		all.Go(func() error { return ping(ctx, url) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
}

func ping(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return nil
}

// held is the most memory that a process had, in KiB, and its open descriptors.
func held(t *testing.T, pid int) (peak, open int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscan(rest, &peak)
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return peak, len(entries)
}

func TestManyProfiles(t *testing.T) {
	number, listenLimit, wakeLimit, memory := 40, patience, patience, 0
	if thorough() {
		number, listenLimit, wakeLimit, memory = 1000, 5*time.Second, 30*time.Second, 64<<10
	} else {
		t.Parallel()
	}
	m := newMachine(t, true)
	urls := m.populate(number)
	began := time.Now()
	g := m.gateway(number, "--all")
	listening := time.Since(began)
	pid := g.cmd.Process.Pid
	asleep, few := held(t, pid)

	began = time.Now()
	healthy(t, urls)
	woken := time.Since(began)
	awake, open := held(t, pid)
	healthy(t, urls)
	later := 0
	// A spare and its shim may begin and others end between the two looks: about ten.
	// One that every request left open would be as many as there are profiles.
	settled := func() bool {
		_, later = held(t, pid)
		return later <= open+number/2
	}
	eventually(t, patience, "the descriptors of a second round of requests are closed", settled)
	t.Logf("%d profiles: all listened after %v, all were awake after %v; supervisor %d MiB asleep, %d MiB at most, %d descriptors asleep, %d awake",
		number, listening.Round(time.Millisecond), woken.Round(time.Millisecond), asleep>>10, awake>>10, few, open)
	if listening > listenLimit || woken > wakeLimit {
		t.Errorf("at most %v and %v are allowed", listenLimit, wakeLimit)
	}
	if memory > 0 && awake > memory {
		t.Errorf("the supervisor took %d KiB, at most %d are allowed", awake, memory)
	}
	// Two for each that sleeps, and six more for one that is awake.
	if few > 2*number+50 || open > 8*number+50 {
		t.Errorf("%d descriptors asleep, %d awake", few, open)
	}
	status := m.status()
	if slices.ContainsFunc(status.Profiles, func(p supervisor.ProfileStatus) bool {
		return p.Name != "default" && (p.State != supervisor.StateReady || p.Restarts != 0 || p.Generation != 1)
	}) {
		t.Errorf("not every profile has its first worker: %+v", status.Profiles)
	}
	began = time.Now()
	g.stop()
	if took := time.Since(began); took > promise(10*time.Second) {
		t.Errorf("they were stopped in %v", took)
	}
}
