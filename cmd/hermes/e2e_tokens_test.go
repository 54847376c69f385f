package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tokens sums what egress has written down of a profile's tokens.
func (m *machine) tokens(t *testing.T) (sum int64) {
	t.Helper()
	audit, err := os.ReadFile(filepath.Join(m.home, "logs", "egress.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(audit)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		var e struct {
			In        int64 `json:"tokens_in"`
			Out       int64 `json:"tokens_out"`
			Estimated bool  `json:"tokens_estimated"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if e.Estimated {
			t.Errorf("a count of the server was not found: %s", line)
		}
		sum += e.In + e.Out
	}
	return sum
}

// Egress and worker count the same tokens. When the worker forgets what it has used,
// the user is refused all the same, and in the same words, also by another gateway.
func TestTokensAreCountedWhereTheKeysAre(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "limits.tokens_per_day", "1000000")
	g := m.gateway(1, "-p", "alice")
	for _, message := range []string{"say hello", "run `echo one`", "say hello"} {
		if status, body := alice.answer(t, message); status != http.StatusOK {
			t.Fatalf("got %d: %s", status, body)
		}
	}
	var health string
	eventually(t, 10*time.Second, "egress has counted what the worker has", func() bool {
		_, health = alice.get(t, "/health/detailed")
		return strings.Contains(health, fmt.Sprintf(`"tokens_per_day":{"limit":1000000,"used":%d}`, m.tokens(t)))
	})
	m.run("-p", "alice", "config", "set", "limits.tokens_per_day", fmt.Sprint(m.tokens(t)-1))
	kept := filepath.Join(m.home, "run", "alice.used")
	eventually(t, 10*time.Second, "what was used is kept", func() bool {
		data, _ := os.ReadFile(kept)
		return strings.Contains(string(data), fmt.Sprintf(`"tokens":%d`, m.tokens(t)))
	})

	// The next gateway finds a worker without a memory.
	g.stop()
	alice.forget(t)
	m.gateway(1, "-p", "alice")
	alice.isRefused(t)
}

// The program that takes a gateway's place goes on counting where that one was.
func TestTokensOutliveAnUpgrade(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.gateway(1, "-p", "alice")
	if status, body := alice.answer(t, "say hello"); status != http.StatusOK {
		t.Fatalf("got %d: %s", status, body)
	}
	// Nothing but what the one program tells the other is to be known.
	kept := filepath.Join(m.home, "run", "alice.used")
	eventually(t, 10*time.Second, "what was used is kept", func() bool {
		data, _ := os.ReadFile(kept)
		return strings.Contains(string(data), fmt.Sprintf(`"tokens":%d`, m.tokens(t)))
	})
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	m.run("gateway", "upgrade", "--binary", m.copied())
	m.run("-p", "alice", "config", "set", "limits.tokens_per_day", fmt.Sprint(m.tokens(t)))
	alice.forget(t)
	m.run("gateway", "restart", "alice")
	alice.isRefused(t)
}

// forget removes what a worker knows of what its agent has used.
func (p person) forget(t *testing.T) {
	t.Helper()
	databases, _ := filepath.Glob(filepath.Join(p.dir, "data", "state.db*"))
	for _, path := range databases {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// isRefused asks somebody who has no tokens left.
func (p person) isRefused(t *testing.T) {
	t.Helper()
	status, body := p.answer(t, "say hello")
	if status != http.StatusTooManyRequests || !strings.Contains(body, `"insufficient_quota"`) || !strings.Contains(body, "limits.tokens_per_day") || !strings.Contains(body, "00:00 UTC") {
		t.Errorf("got %d: %s", status, body)
	}
}
