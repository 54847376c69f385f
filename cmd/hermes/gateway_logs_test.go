package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func lines(raw [][]byte) []string {
	var text []string
	for _, line := range raw {
		text = append(text, string(line))
	}
	return text
}

func appendFile(t *testing.T, path, text string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTailReadsTheLastLinesOfAllFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "worker.log")
	var want []string
	for i, name := range []string{path + ".2", path + ".1", path} {
		for j := range 1000 {
			line := fmt.Sprintf("file %d line %d %s", i, j, strings.Repeat("x", 200))
			want = append(want, line)
			appendFile(t, name, line+"\n")
		}
	}
	appendFile(t, path, "half a li")
	for _, n := range []int{0, 1, 5, 1000, 1001, 2500, 3000, 9999} {
		log := &tail{path: path}
		got, err := log.last(n, time.Time{})
		log.close()
		if err != nil {
			t.Fatal(err)
		}
		if wanted := want[max(0, len(want)-n):]; !slices.Equal(lines(got), wanted) {
			t.Errorf("last %d: got %d lines, want %d", n, len(got), len(wanted))
		}
	}
}

func TestTailFollowsAcrossRotation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "logs", "worker.log")
	os.Mkdir(filepath.Dir(path), 0o700)
	log := &tail{path: path}
	defer log.close()
	if got, err := log.last(10, time.Time{}); err != nil || len(got) > 0 {
		t.Fatalf("no log yet: %q, %v", lines(got), err)
	}
	steps := []struct {
		name  string
		write func()
		want  []string
	}{
		{"still none", func() {}, nil},
		{"it appears", func() { appendFile(t, path, "one\ntwo\n") }, []string{"one", "two"}},
		{"half a line", func() { appendFile(t, path, "thr") }, nil},
		{"the other half", func() { appendFile(t, path, "ee\n") }, []string{"three"}},
		{"set aside after a last line", func() {
			appendFile(t, path, "four\n")
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			appendFile(t, path, "five\n")
		}, []string{"four", "five"}},
		{"and on", func() { appendFile(t, path, "six\n") }, []string{"six"}},
		{"set aside three times between two looks", func() {
			for _, line := range []string{"seven", "eight", "nine"} {
				appendFile(t, path, line+"\n")
				for i := 3; i > 0; i-- {
					os.Rename(aside(path, i-1), aside(path, i))
				}
			}
			appendFile(t, path, "ten\n")
		}, []string{"seven", "eight", "nine", "ten"}},
		{"further than files are kept", func() {
			for _, line := range []string{"lost", "ten and a half", "eleven", "twelve"} {
				os.Remove(aside(path, 3))
				os.Rename(aside(path, 1), aside(path, 2))
				os.Rename(path, aside(path, 1))
				appendFile(t, path, line+"\n")
			}
		}, []string{"ten and a half", "eleven", "twelve"}},
		{"the directory is made anew", func() {
			os.RemoveAll(filepath.Dir(path))
			os.Mkdir(filepath.Dir(path), 0o700)
			appendFile(t, path, "thirteen\n")
		}, []string{"thirteen"}},
	}
	for _, step := range steps {
		step.write()
		got, err := log.next()
		if err != nil || !slices.Equal(lines(got), step.want) {
			t.Errorf("%s: got %q, %v, want %q", step.name, lines(got), err, step.want)
		}
	}
}

func TestTailReadsOnlyRegularFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	appendFile(t, secret, "sk-secret\n")
	link, fifo := filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := os.Symlink(secret, link); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, fifo, dir} {
		log := &tail{path: path}
		if got, err := log.last(10, time.Time{}); err == nil || len(got) > 0 {
			t.Errorf("%s: got %q, %v, want an error", path, lines(got), err)
		}
		log.close()
	}
}

func TestLogLinesForAPerson(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, line, want string }{
		{
			"record", `{"time":"2026-01-02T03:04:05Z","level":"WARN","msg":"tool ended","profile":"alice","code":3,"label":"two words"}`,
			` WARN  alice tool ended code=3 label="two words"`,
		},
		{"escape sequences", `{"level":"INFO","msg":"a\u001b[2Jb","x":"\u001b[31m"}`, ` INFO  alice a[2Jb x=[31m`},
		{"no JSON", "panic: boom", "       alice panic: boom"},
		{"broken JSON", `{"msg":"x`, `       alice {"msg":"x`},
		{"array", `[1]`, `       alice [1]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, out, _ := newTestApp(t)
			opts := &gatewayLogsOptions{app: a}
			opts.print(parseRecord("alice", []byte(test.line)))
			const timeWidth = len("2006-01-02 15:04:05.000")
			if got := strings.TrimSuffix(out.String()[timeWidth:], "\n"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestLogsOfSeveralProfilesAreOrderedByTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	line := func(ago time.Duration, text string) string {
		return fmt.Sprintf(`{"time":%q,"level":"INFO","msg":%q}`+"\n", now.Add(-ago).Format(time.RFC3339Nano), text)
	}
	a, out, _ := newTestApp(t)
	home := a.getenv("HERMES_HOME")
	for name, log := range map[string]string{
		"alice": line(40*time.Minute, "first") + line(20*time.Minute, "third") + "a trace below it\n" + line(time.Minute, "fifth"),
		"bo":    line(30*time.Minute, "second") + line(10*time.Minute, "fourth"),
	} {
		dir := filepath.Join(home, "profiles", name, "logs")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		appendFile(t, filepath.Join(dir, workerLog), log)
		appendFile(t, filepath.Join(dir, "..", "config.yaml"), "")
	}
	tests := []struct {
		since string
		lines int
		want  string
	}{
		{"", 50, "alice first|bo    second|alice third|alice a trace below it|bo    fourth|alice fifth"},
		{"", 1, "bo    fourth|alice fifth"},
		{"25m", 50, "alice third|alice a trace below it|bo    fourth|alice fifth"},
		{"25m", 1, "bo    fourth|alice fifth"},
		{now.Add(-5 * time.Minute).Format(time.RFC3339), 50, "alice fifth"},
		{"0s", 50, ""},
	}
	for _, test := range tests {
		out.Reset()
		opts := &gatewayLogsOptions{app: a, lines: test.lines, since: test.since, now: func() time.Time { return now }}
		if err := gatewayLogsRun(t.Context(), opts); err != nil {
			t.Fatal(err)
		}
		var got []string
		for text := range strings.Lines(out.String()) {
			got = append(got, strings.TrimSpace(text[len("2006-01-02 15:04:05.000 INFO  "):]))
		}
		if strings.Join(got, "|") != test.want {
			t.Errorf("--since %q -n %d: got %q, want %q", test.since, test.lines, strings.Join(got, "|"), test.want)
		}
	}
	for _, since := range []string{"yesterday", "-5m", "2026-13-01"} {
		if _, err := sinceWhen(since, now); err == nil || !strings.Contains(err.Error(), "15m") {
			t.Errorf("--since %s gave %v", since, err)
		}
	}
}

// A profile that is made while its log is followed is shown from its first line on.
func TestLogsFollowProfilesThatComeAndGo(t *testing.T) {
	t.Parallel()
	a, _, _ := newTestApp(t)
	var out lockedBuffer
	a.out = &out
	profile := func(name string) string { return filepath.Join(a.getenv("HERMES_HOME"), "profiles", name) }
	add := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(profile(name), "logs"), 0o700); err != nil {
			t.Fatal(err)
		}
		appendFile(t, filepath.Join(profile(name), "config.yaml"), "")
		appendFile(t, filepath.Join(profile(name), "logs", workerLog), fmt.Sprintf(`{"time":"2026-03-01T12:00:00Z","level":"INFO","msg":%q}`+"\n", text))
	}
	shows := func(text string) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for tick := time.NewTicker(5 * time.Millisecond); !strings.Contains(out.String(), text); {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%q is not shown in %q", text, out.String())
			}
		}
	}
	add("alice", "hello from her")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- gatewayLogsRun(ctx, &gatewayLogsOptions{app: a, follow: true, lines: 5, now: time.Now})
	}()
	shows("alice hello from her")
	add("bob", "hello from him")
	shows("bob   hello from him")
	if err := os.RemoveAll(profile("alice")); err != nil {
		t.Fatal(err)
	}
	add("bob", "still here")
	shows("bob   still here")
	add("alice", "another one")
	shows("alice another one")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// lockedBuffer is written and read by several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
