package main_test

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// get asks for a path with the profile's key and returns status and body.
func (p person) get(t *testing.T, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// What a profile has used of its day is not forgotten when its worker is killed,
// and is nobody else's business.
func TestLimitsOutliveTheWorker(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice, bob := m.create("alice"), m.create("bob")
	m.run("-p", "alice", "config", "set", "limits.tokens_per_day", "1")
	m.run("-p", "bob", "config", "set", "limits.turns_per_minute", "1")
	g := m.gateway(2, "--all")

	if status, body := alice.answer(t, "say hello"); status != http.StatusOK {
		t.Fatalf("alice's first turn: %d %s", status, body)
	}
	if status, body := alice.answer(t, "say hello"); status != http.StatusTooManyRequests || !strings.Contains(body, "insufficient_quota") {
		t.Errorf("alice's second turn: %d %s", status, body)
	}
	if status, body := bob.answer(t, "say hello"); status != http.StatusOK {
		t.Errorf("bob's first turn: %d %s", status, body)
	}
	if status, body := bob.answer(t, "say hello"); status != http.StatusTooManyRequests || !strings.Contains(body, "limits.turns_per_minute") {
		t.Errorf("bob's second turn: %d %s", status, body)
	}
	if status, body := alice.get(t, "/metrics"); status != http.StatusOK ||
		!strings.Contains(body, "\nhermes_turns_total{status=\"done\"} 1\n") ||
		!strings.Contains(body, "\nhermes_turns_refused_total{reason=\"tokens_per_day\"} 1\n") ||
		!strings.Contains(body, "\nhermes_tool_calls_total{tool=\"terminal\",outcome=\"done\"} 0\n") {
		t.Errorf("alice's metrics: %d %s", status, body)
	}

	before := g.worker(alice)
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "a new worker", func() bool { now := g.worker(alice); return now != 0 && now != before })
	if status, body := alice.answer(t, "say hello"); status != http.StatusTooManyRequests || !strings.Contains(body, "insufficient_quota") {
		t.Errorf("alice's turn after the kill: %d %s", status, body)
	}
	if status, body := alice.get(t, "/v1/capabilities"); status != http.StatusOK || !strings.Contains(body, `"tokens_per_day":1`) || !strings.Contains(body, `"terminal"`) {
		t.Errorf("alice's capabilities: %d %s", status, body)
	}
	if status, body := alice.get(t, "/health/detailed"); status != http.StatusOK || !strings.Contains(body, `"tokens_per_day":{"limit":1,"used":`) {
		t.Errorf("alice's health: %d %s", status, body)
	}
}
