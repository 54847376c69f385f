package profiles

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Name{
		"alice": "alice", "ALICE": "alice", "a": "a", "0": "0", "a-b_c": "a-b_c", "com": "com", "com10": "com10", "testing": "testing",
		strings.Repeat("a", 64): Name(strings.Repeat("a", 64)), "default2": "default2", "a-": "a-",
	} {
		if got, err := ParseName(text); err != nil || got != want {
			t.Errorf("%q gives %q, %v", text, got, err)
		}
	}
	bad := []string{
		"", " ", " alice", "alice ", "alice\n", ".", "..", "../alice", "a/b", "/etc", `a\b`, "a\x00", "\x00", "-alice", "_alice", ".alice",
		"a.b", "a b", "a:b", "a*", "~", "~root", "$HOME", "a;b", "a'b", `a"b`, "a\tb", "a\x7f", "\x1b[2J",
		"аlice" /* Cyrillic */, "ａlice" /* full width */, "alice\u212a" /* Kelvin */, "ali\u202ece", "alice\u0301", "ß", "é", "alice\u200b", "a\xff",
		"default", "Default", "hermes", "hermes-agent", "HERMES", "test", "tmp", "root", "sudo", "all",
		"con", "CON", "prn", "aux", "nul", "com1", "lpt9", strings.Repeat("a", 65), strings.Repeat("a", 1<<20),
	}
	for _, text := range bad {
		name, err := ParseName(text)
		var bad *NameError
		if !errors.As(err, &bad) || name != "" {
			t.Errorf("%q gives %q, %v", text, name, err)
			continue
		}
		if message := err.Error(); strings.ContainsAny(message, "\n\x00\x1b") || len(message) > 300 {
			t.Errorf("%q: the message is %q", text, message)
		}
	}
	if name, err := ParseRef("default"); err != nil || name != Default {
		t.Errorf("ParseRef of default gives %q, %v", name, err)
	}
	if _, err := ParseRef("../x"); err == nil {
		t.Error("ParseRef takes ../x")
	}
}

func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"alice", "..", "a/b", "con", "K", "a\x00b", "ALICE-9_"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := ParseName(text)
		if err != nil {
			if name != "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q gives %q, %q", text, name, err)
			}
			return
		}
		if !namePattern().MatchString(string(name)) || !strings.EqualFold(string(name), text) {
			t.Errorf("%q gives %q", text, name)
		}
		if joined := filepath.Join("/h/profiles", string(name)); filepath.Dir(joined) != "/h/profiles" || filepath.Base(joined) != string(name) {
			t.Errorf("%q leads to %s", text, joined)
		}
		if again, err := ParseName(string(name)); err != nil || again != name {
			t.Errorf("%q is %q the second time, %v", name, again, err)
		}
	})
}
