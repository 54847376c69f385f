package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPrintableMovesNoCursor(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"plain", "hello, wörld\n\ttab", "hello, wörld\n\ttab"},
		{"escape sequence", "a\x1b[2Jb\x1b]0;title\x07c", "a[2Jb]0;titlec"},
		{"carriage return", "real\rfake", "real fake"},
		{"right-to-left override", "abc\u202edef", "abcdef"},
		{"C1 control", "a\u009b2Jb", "a2Jb"},
		{"emoji of several runes", "👩‍💻 ✔️", "👩‍💻 ✔️"},
		{"no UTF-8", "a\xffb", "a\uFFFDb"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := printable(test.text); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestQuoteIsOneWordOfAShell(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"alice":         "alice",
		"/home/a-b/c.d": "/home/a-b/c.d",
		"":              "''",
		"a b":           "'a b'",
		"it's":          `'it'\''s'`,
		"$(reboot)":     "'$(reboot)'",
		"~/x":           "'~/x'",
		"ä":             "'ä'",
	} {
		if got := quote(text); got != want {
			t.Errorf("quote(%q) is %s, want %s", text, got, want)
		}
	}
}

func TestTableInAPipeIsPlainAndAligned(t *testing.T) {
	t.Parallel()
	a, out, _ := newTestApp(t)
	list := &table{header: []string{"NAME", "STATE", "REASON"}}
	list.add(cell{"alice", bold}, cell{"ready", green}, cell{})
	list.add(cells("bob", "backoff", "died\nwith \x1b[31mcolours")...)
	a.printTable(list)
	want := "NAME   STATE    REASON\n" +
		"alice  ready    -\n" +
		"bob    backoff  died with [31mcolours\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

func TestTableOnATerminalIsBoxedAndColoured(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		environ string
		colours bool
	}{
		{"colours", "", true},
		{"NO_COLOR", "NO_COLOR=1", false},
		{"dumb terminal", "TERM=dumb", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, out, _ := newTestApp(t)
			a.outTTY, a.width = true, 60
			a.environ = append(a.environ, test.environ)
			list := &table{header: []string{"NAME", "STATE", "REASON"}}
			list.add(cell{"alice", bold}, cell{"ready", green}, cell{text: strings.Repeat("long words ", 20)})
			a.printTable(list)
			if got := strings.Contains(out.String(), "\x1b[32mready\x1b[0m"); got != test.colours {
				t.Errorf("colours: %t, want %t:\n%s", got, test.colours, out)
			}
			if !strings.Contains(out.String(), "│") {
				t.Errorf("there is no box:\n%s", out)
			}
			for line := range strings.Lines(printable(strings.ReplaceAll(out.String(), "\x1b", ""))) {
				if n := len([]rune(line)); n > 75 { // 60 and what is left of the colours
					t.Errorf("a line is %d wide:\n%s", n, line)
				}
			}
		})
	}
}

func TestProgressIsShownAfterASecond(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		tty  bool
		took time.Duration
		want string
	}{
		{"quick", true, 900 * time.Millisecond, ""},
		{"slow on a terminal", true, 2500 * time.Millisecond, strings.Repeat("\r\x1b[Kwaiting", 2) + "\r\x1b[K"},
		{"slow in a pipe", false, 2500 * time.Millisecond, "waiting\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, _, stderr := newTestApp(t)
				a.errTTY = test.tty
				a.environ = append(a.environ, "NO_COLOR=1")
				end := a.progress(t.Context(), func() string { return "waiting" })
				wait(t, test.took)
				end()
				if got := stderr.String(); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
			})
		})
	}
}

// wait lets the time of a synctest bubble pass.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

func TestSinceIsShort(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for ago, want := range map[time.Duration]string{
		-time.Second:                     "0s",
		42 * time.Second:                 "42s",
		3*time.Minute + 7*time.Second:    "3m07s",
		5*time.Hour + 9*time.Minute:      "5h09m",
		3*24*time.Hour + 4*time.Hour + 1: "3d04h",
	} {
		if got := since(now, now.Add(-ago)); got != want {
			t.Errorf("%v ago is %q, want %q", ago, got, want)
		}
	}
	if got := since(now, time.Time{}); got != "" {
		t.Errorf("no time is %q", got)
	}
}
