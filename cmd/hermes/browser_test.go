package main_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// logged is a request as a worker's log tells of it.
type logged struct {
	Msg    string
	Method string
	Path   string
	Status int
}

// requests returns what a profile's worker has answered so far.
func (p person) requests(t *testing.T) []logged {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(p.dir, "logs", "worker.log"))
	if err != nil {
		t.Fatal(err)
	}
	var all []logged
	for line := range strings.Lines(string(file)) {
		var l logged
		if json.Unmarshal([]byte(line), &l) == nil && l.Msg == "request" {
			all = append(all, l)
		}
	}
	return all
}

// turns returns the lines of /metrics that count turns and tasks.
func (p person) turns(t *testing.T) string {
	t.Helper()
	status, body := p.get(t, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics: %d %s", status, body)
	}
	var lines strings.Builder
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "hermes_turns_") || strings.HasPrefix(line, "hermes_tasks_") {
			lines.WriteString(line)
		}
	}
	if !strings.Contains(lines.String(), "hermes_turns_total") {
		t.Fatalf("/metrics does not count turns:\n%s", body)
	}
	return lines.String()
}

// TestPagesOfAllowedOriginsOnly drives the official client where the rules are
// made by a browser: a page of an allowed origin gets its agent, and a page that
// merely looks like one gets nothing, whatever key it has.
//
//nolint:tparallel // the pages share one browser
func TestPagesOfAllowedOriginsOnly(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs Chromium and the npm registry")
	}
	b := newBrowser(t)
	m := newMachine(t, true)
	alice := m.create("alice")
	allowed := "http://app.localhost:" + b.port
	m.run("-p", "alice", "config", "set", "API_SERVER_CORS_ORIGINS", "https://chat.example.org,"+allowed)
	m.gateway(1, "-p", "alice")
	job := pageJob{BaseURL: alice.url + "/v1", APIKey: alice.key, Message: "run `pwd`"}

	t.Run("allowed", func(t *testing.T) {
		got := b.open(t, allowed, job)
		if got.Error != nil {
			t.Fatalf("the client failed: %+v", *got.Error)
		}
		if got.Origin != allowed {
			t.Fatalf("the page's origin is %s, want %s", got.Origin, allowed)
		}
		if !strings.Contains(got.Text, filepath.Join(alice.dir, "workspace")) || !strings.Contains(got.Text, "\n`💻 pwd`\n") || got.Finish != "stop" {
			t.Errorf("the answer, which ended with %q: %q", got.Finish, got.Text)
		}
		if !slices.Equal(got.Models, []string{"alice"}) {
			t.Errorf("the page lists the models %q", got.Models)
		}
		if got.RequestID == "" {
			t.Error("the page cannot read X-Request-Id")
		}
		stainless := slices.DeleteFunc(got.Sent, func(name string) bool { return !strings.HasPrefix(name, "x-stainless-") })
		if len(stainless) < 7 {
			t.Errorf("the client asks for %q only: this does not try what a preflight must allow", stainless)
		}
	})

	t.Run("a response", func(t *testing.T) {
		respond := job
		respond.Responses = true
		got := b.open(t, allowed, respond)
		if got.Error != nil || got.Finish != "completed" || !strings.Contains(got.Text, filepath.Join(alice.dir, "workspace")) {
			t.Fatalf("the page saw %+v", got)
		}
		if status, body := alice.get(t, "/v1/responses/"+got.Deleted); got.Deleted == "" || status != http.StatusNotFound {
			t.Errorf("the response %q, which the page has deleted: %d %s", got.Deleted, status, body)
		}
	})

	t.Run("an error can be read", func(t *testing.T) {
		wrong := job
		wrong.APIKey = "sk-not-the-key"
		got := b.open(t, allowed, wrong)
		if got.Error == nil || got.Error.Status != http.StatusUnauthorized || got.Error.Code != "invalid_api_key" || got.Error.RequestID == "" {
			t.Errorf("the page saw %+v, want 401 invalid_api_key with a request id", got.Error)
		}
	})

	t.Run("abort", func(t *testing.T) {
		stop := job
		stop.Message, stop.AbortAfter = "stream 10000 8 20ms", 3
		drain(m.upstream.Gone())
		got := b.open(t, allowed, stop)
		if got.Chunks != stop.AbortAfter || got.Finish != "" {
			t.Errorf("the page saw %d chunks and the finish %q, it left after %d", got.Chunks, got.Finish, stop.AbortAfter)
		}
		select {
		case call := <-m.upstream.Gone():
			if call.LastUser() != stop.Message {
				t.Errorf("another call was left: %q", call.LastUser())
			}
		case <-time.After(promise(5 * time.Second)):
			t.Error("the upstream still answers a page that has left")
		}
		eventually(t, promise(5*time.Second), "the turn has ended", func() bool { return strings.Contains(alice.turns(t), "\nhermes_turns_running 0\n") })
	})

	for name, origin := range map[string]string{
		"suffix":       "http://app.localhost.evil.localhost:" + b.port,
		"prefix":       "http://evilapp.localhost:" + b.port,
		"subdomain":    "http://evil.app.localhost:" + b.port,
		"other port":   "http://app.localhost:" + b.other,
		"the API host": "http://127.0.0.1:" + b.port,
		"null":         "null",
	} {
		t.Run("refused, "+name, func(t *testing.T) {
			job, page := job, origin
			job.Simple = true
			if origin == "null" {
				job.Sandboxed, page = true, allowed
			}
			turns, calls, before := alice.turns(t), len(m.upstream.Calls()), len(alice.requests(t))
			got := b.open(t, page, job)
			if got.Origin != origin {
				t.Fatalf("the page's origin is %s, want %s", got.Origin, origin)
			}
			if got.Error == nil || got.Error.Name != "APIConnectionError" || got.Error.Status != 0 || got.Chunks > 0 || got.Text != "" {
				t.Errorf("the page saw %+v, want that the browser keeps the answer from it", got)
			}
			if got.Simple != "opaque" {
				t.Errorf("the request without a preflight: %q, want an answer that cannot be read", got.Simple)
			}
			want := []logged{
				{"request", http.MethodPost, "/v1/chat/completions", http.StatusForbidden}, // without a preflight
				{"request", http.MethodOptions, "/v1/chat/completions", http.StatusForbidden},
			}
			// The log is written by another process, a little later.
			refusals := func() []logged {
				return slices.DeleteFunc(alice.requests(t)[before:], func(l logged) bool { return l.Status != http.StatusForbidden })
			}
			eventually(t, promise(5*time.Second), "the refusals are logged", func() bool { return len(refusals()) >= len(want) })
			if got := refusals(); !slices.Equal(got, want) {
				t.Errorf("the server refused %v, want %v", got, want)
			}
			if now := alice.turns(t); now != turns || len(m.upstream.Calls()) != calls {
				t.Errorf("the model was asked %d times for this page; turns before and after:\n%s%s", len(m.upstream.Calls())-calls, turns, now)
			}
		})
	}
}

// drain throws away what waits in a channel.
func drain[T any](from <-chan T) {
	for {
		select {
		case <-from:
		default:
			return
		}
	}
}
