package wall

import (
	"os"
	"path/filepath"
	"testing"
)

// A container knows some numbers only.
func TestNumbersMustBeKnown(t *testing.T) {
	t.Parallel()
	high, low := ownNumbers()[0], ownNumbers()[1]
	for name, c := range map[string]struct {
		text      string
		high, low bool
	}{
		"machine":   {"         0          0 4294967295\n", true, true},
		"container": {"0 100000 65536\n", false, true},
		"rootless":  {"0 1000 1\n1 100000 65535\n", false, true},
		"one user":  {"0 1000 1\n", false, false},
		"few":       {"0 100000 65519\n", false, false},
		"enough":    {"0 100000 65520\n", false, true},
		"garbage":   {"zero\n\n0 0\n", false, false},
		"nothing":   {"", false, false},
	} {
		path := filepath.Join(t.TempDir(), "map")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if gotHigh, gotLow := high.mapped(path), low.mapped(path); gotHigh != c.high || gotLow != c.low {
			t.Errorf("%s: %v, %v", name, gotHigh, gotLow)
		}
	}
	if low.mapped(filepath.Join(t.TempDir(), "none")) {
		t.Error("a map that is not there knows them")
	}
	for _, n := range ownNumbers() {
		if user, other := n.Attackers(); user < n.To || other < n.To || user == other {
			t.Errorf("who attacks as user %d beside %d may be a profile's of %v", user, other, n)
		}
	}
	if IsStranger(high.From) || !IsStranger(high.From-1) {
		t.Error("strangers and users of profiles are not told apart")
	}
}
