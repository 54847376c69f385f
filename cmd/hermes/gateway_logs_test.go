package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
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
		got, err := log.last(n)
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
	path := filepath.Join(t.TempDir(), "worker.log")
	log := &tail{path: path}
	defer log.close()
	if got, err := log.last(10); err != nil || len(got) > 0 {
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
		if got, err := log.last(10); err == nil || len(got) > 0 {
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
