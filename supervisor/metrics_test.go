package supervisor

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scrape asks the control socket as a scraper does.
func (g *gateway) scrape() string {
	g.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(g.home.dir, runDir, g.name()+".sock"))
		},
	}}
	response, err := client.Get("http://gateway/metrics")
	if err != nil {
		g.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != MetricsType {
		g.Fatalf("got %v %v, %v", response.Status, response.Header, err)
	}
	return string(text)
}

func TestMetricsTellHowWorkersAre(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", "")
	h.add("bob", "exit 3")
	g := h.gateway().run()
	pid := g.await("alice", StateReady).PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	g.awaitNext("alice", pid)
	eventually(t, "bob has died", func() bool { return g.status("bob").Restarts > 1 })
	// One that is replaced drains.
	if outcome, err := g.client().Act(t.Context(), "alice", ActionRestart, ActionRequest{Wait: true}); err != nil || outcome.Failed {
		t.Fatalf("%+v, %v", outcome, err)
	}
	eventually(t, "the one before has left", func() bool { return g.status("alice").Drains == 1 })
	text := g.scrape()
	for _, want := range []string{
		`hermes_gateway_info\{mode="all",version="test",limits="\w+"\} 1`,
		`hermes_worker_state\{profile="alice",state="ready"\} 1`,
		`hermes_worker_state\{profile="alice",state="backoff"\} 0`,
		`hermes_worker_restarts_total\{profile="alice",reason="signal"\} 1`,
		`hermes_worker_restarts_total\{profile="alice",reason="oom"\} 0`,
		`hermes_worker_restarts_total\{profile="bob",reason="exit"\} [1-9]`,
		`hermes_worker_generation\{profile="alice"\} 3`,
		`hermes_worker_start_seconds\{profile="alice"\} [0-9.e-]+`,
		`hermes_worker_beat_age_seconds\{profile="alice"\} [0-9.e-]+`,
		`hermes_worker_busy\{profile="alice"\} 0`,
		`hermes_worker_resident_bytes\{profile="alice"\} [0-9.e+]+`,
		`hermes_worker_proportional_bytes\{profile="alice"\} [0-9.e+]+`,
		`hermes_log_dropped_lines_total\{profile="bob"\} 0`,
		`hermes_worker_jobs\{profile="alice"\} 0`,
		`hermes_worker_retiring\{profile="alice"\} 0`,
		`hermes_worker_drains_total\{profile="alice"\} 1`,
		`hermes_worker_adopted_total\{profile="alice"\} 0`,
		`hermes_worker_drain_seconds_total\{profile="alice"\} [0-9.e-]+`,
		`hermes_worker_killed_total\{profile="alice",signal="SIGKILL"\} 1`,
		`hermes_worker_retry_seconds\{profile="alice"\} 0`,
		`hermes_worker_retry_seconds\{profile="bob"\} [0-9.e-]+`,
		`hermes_worker_started_timestamp_seconds\{profile="alice"\} [0-9.e+]+`,
		`hermes_worker_cpu_seconds_total\{profile="alice"\} [0-9.e-]+`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(text) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
}

// The text follows the format: each metric once, with its help and its kind before
// its samples, and values of labels escaped.
func TestMetricsFollowTheFormat(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var b bytes.Buffer
	status := Status{Mode: ModeProfile, Version: "a\\b\"c\nd", Profiles: []ProfileStatus{
		{Name: "alice", State: StateReady, Beat: now.Add(-1500 * time.Millisecond), Memory: &Memory{PSS: 1 << 20, RSS: 1 << 30}},
		{Name: "bob", State: StateBackoff, Deaths: map[string]int{deathMemory: 2, deathHung: 1}, DroppedLines: 7},
	}}
	if err := WriteMetrics(&b, now, status, status); err != nil {
		t.Fatal(err)
	}
	name, seen := "", map[string]bool{}
	line := regexp.MustCompile(`^([a-z_]+)\{([a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+\} [0-9.e+-]+$`)
	for text := range strings.Lines(b.String()) {
		text = strings.TrimSuffix(text, "\n")
		if help, ok := strings.CutPrefix(text, "# HELP "); ok {
			name, _, _ = strings.Cut(help, " ")
			if seen[name] {
				t.Errorf("%s is there twice", name)
			}
			seen[name] = true
			continue
		}
		if strings.HasPrefix(text, "# TYPE "+name+" ") {
			continue
		}
		if found := line.FindStringSubmatch(text); found == nil || found[1] != name {
			t.Errorf("%q is no sample of %s", text, name)
		}
	}
	for _, want := range []string{
		`version="a\\b\"c\nd"`, `beat_age_seconds{profile="alice"} 1.5`, `restarts_total{profile="bob",reason="oom"} 2`, `dropped_lines_total{profile="bob"} 7`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("there is no %s in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), `beat_age_seconds{profile="bob"}`) {
		t.Error("bob has a sign of life")
	}
}
