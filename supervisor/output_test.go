package supervisor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// testRate is how many bytes may be logged in a second.
const testRate = 1 << 20

// record is what a line of a log says.
type record struct {
	Time                time.Time
	Level, Msg, Profile string
	PID                 int
}

func parse(t *testing.T, log string) []record {
	t.Helper()
	var records []record
	for line := range strings.Lines(log) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		records = append(records, r)
	}
	return records
}

// disk is a log file that can be told to fail.
type disk struct {
	mu     sync.Mutex
	buf    bytes.Buffer
	err    error
	closed bool
}

func (d *disk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return 0, d.err
	}
	return d.buf.Write(p)
}

func (d *disk) Close() error { d.closed = true; return nil }

func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func TestOutputKeepsJSONAndWrapsText(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := &disk{}
		o := newOutput("alice", file, testRate, func(err error) { t.Error(err) })
		o.redact([]string{"sk-secret", ""})
		o.copy(strings.NewReader(`{"level":"INFO","msg":"hello"}`+"\n"+
			"panic: boom\n\n\tgoroutine 1\x1b[2J\n"+
			`[1]`+"\n"+
			`{"broken":`+"\r\n"+
			`{"msg":"key is sk-secret"}`+"\n"+
			"bad \xff byte\n"+
			"no line feed"), 7)
		o.close(time.Second)
		if !file.closed {
			t.Error("file is not closed")
		}
		lines := strings.SplitAfter(strings.TrimSuffix(file.buf.String(), "\n"), "\n")
		if lines[0] != `{"level":"INFO","msg":"hello"}`+"\n" {
			t.Errorf("a JSON line became %q", lines[0])
		}
		records := parse(t, file.buf.String())
		var said []string
		for _, r := range records[1:] {
			said = append(said, r.Msg)
		}
		want := []string{"panic: boom", "\tgoroutine 1\x1b[2J", "[1]", `{"broken":`, "key is [redacted]", "bad \uFFFD byte", "no line feed"}
		if fmt.Sprintf("%q", said) != fmt.Sprintf("%q", want) {
			t.Errorf("got  %q\nwant %q", said, want)
		}
		if r := records[1]; r.Level != "ERROR" || r.Profile != "alice" || r.PID != 7 || r.Time.IsZero() {
			t.Errorf("text became %+v", r)
		}
		last := strings.Join(o.lines(), "|")
		if strings.Contains(last, "\x1b") || strings.Contains(last, "sk-secret") || !strings.HasSuffix(last, "no line feed") {
			t.Errorf("last lines are %q", last)
		}
	})
}

func TestFloodIsCappedCountedAndNotRemembered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := &disk{}
		o := newOutput("alice", file, testRate, func(err error) { t.Error(err) })
		flood := bytes.Repeat([]byte(strings.Repeat("x", 99)+"\n"), 100_000) // 10 MB in no time
		o.copy(bytes.NewReader(flood), 7)
		<-time.After(3 * time.Second)
		o.copy(strings.NewReader("calm again\n"), 7)
		synctest.Wait()
		o.close(time.Second)
		if size := file.buf.Len(); size > 2*testRate {
			t.Errorf("logged %d bytes of a flood, want about %d", size, testRate)
		}
		var dropped, told, kept int
		records := parse(t, file.buf.String())
		for _, r := range records {
			if n, _ := fmt.Sscanf(r.Msg, "dropped %d lines", &dropped); n == 1 {
				told++
			} else {
				kept++
			}
		}
		if told != 1 || kept-1+dropped != 100_000 {
			t.Errorf("%d records tell of %d dropped lines beside %d kept ones, want one and 100000 in all", told, dropped, kept-1)
		}
		if last := records[len(records)-1]; last.Msg != "calm again" {
			t.Errorf("last record is %q", last.Msg)
		}
		if n := len(o.lines()); n != keptLines {
			t.Errorf("%d last lines are kept, want %d", n, keptLines)
		}
	})
}

func TestEndlessLineIsCut(t *testing.T) {
	t.Parallel()
	file := &disk{}
	o := newOutput("alice", file, testRate, func(err error) { t.Error(err) })
	o.copy(strings.NewReader("{"+strings.Repeat("x", 5<<20)+"\nnext\n"), 7)
	o.close(time.Minute)
	records := parse(t, file.buf.String())
	if len(records) != 2 || records[1].Msg != "next" {
		t.Fatalf("%d records, want the cut line and the next", len(records))
	}
	if got := len(records[0].Msg); got > lineLimit+20 || !strings.HasSuffix(records[0].Msg, "(cut)") {
		t.Errorf("line is %d bytes and ends in %q", got, records[0].Msg[got-10:])
	}
}

func TestFullDiskBlocksNobodyAndIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := &disk{}
		file.fail(syscall.ENOSPC)
		var troubles []error
		o := newOutput("alice", file, testRate, func(err error) { troubles = append(troubles, err) })
		for range 5 {
			o.copy(strings.NewReader("one\ntwo\n"), 7)
			<-time.After(2 * time.Second)
		}
		file.fail(nil)
		<-time.After(2 * time.Second)
		o.copy(strings.NewReader("space\n"), 7)
		synctest.Wait()
		o.close(time.Second)
		records := parse(t, file.buf.String())
		if len(records) != 2 || records[0].Msg != "dropped 10 lines" || records[1].Msg != "space" {
			t.Errorf("log says %+v, want the count of the lost lines and the next line", records)
		}
		if len(troubles) != 2 || !errors.Is(troubles[0], syscall.ENOSPC) || troubles[1] != nil {
			t.Errorf("told of %v, want the error once and its end once", troubles)
		}
	})
}

func TestHangingDiskBlocksNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe() // a write to it waits for a reader
		o := newOutput("alice", w, testRate, func(error) {})
		for range 100 {
			o.copy(strings.NewReader(strings.Repeat(strings.Repeat("x", 1000)+"\n", 1000)), 7)
			<-time.After(time.Second)
		}
		o.mu.Lock()
		if n := len(o.pending); n > outputSeconds*testRate+2*lineLimit {
			t.Errorf("%d bytes wait for the disk, want at most %d", n, outputSeconds*testRate)
		}
		o.mu.Unlock()
		began := time.Now()
		o.close(time.Second)
		if took := time.Since(began); took != time.Second {
			t.Errorf("close waited %v, want its limit", took)
		}
		r.Close()
		<-o.done
	})
}

func TestLogFileIsCappedAndPrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := NewLogFile(dir, "logs/worker.log", 100, 3)
	for i := range 50 {
		if _, err := fmt.Fprintf(l, "line %02d %s\n", i, strings.Repeat("x", 21)); err != nil {
			t.Fatal(err)
		}
		if i%20 == 19 { // a restart appends
			l.Close()
		}
	}
	l.Close()
	entries, err := os.ReadDir(filepath.Join(dir, "logs"))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 {
		t.Errorf("%d files are kept, want 3", len(entries))
	}
	var all string
	for _, name := range []string{"worker.log.2", "worker.log.1", "worker.log"} {
		data, err := os.ReadFile(filepath.Join(dir, "logs", name))
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(filepath.Join(dir, "logs", name)); info.Mode().Perm() != 0o600 || info.Size() > 100 {
			t.Errorf("%s has mode %v and %d bytes", name, info.Mode(), info.Size())
		}
		all += string(data)
	}
	first := 50 - strings.Count(all, "\n")
	for i, line := range strings.Split(strings.TrimSpace(all), "\n") {
		if !strings.HasPrefix(line, fmt.Sprintf("line %02d", first+i)) {
			t.Fatalf("lines are not in order at %q", line)
		}
	}
}

func TestLogFileGoesNowhereElse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		trap func(t *testing.T, profile, outside string)
	}{
		{"directory is a link", func(t *testing.T, profile, outside string) {
			t.Helper()
			if err := os.Symlink(outside, filepath.Join(profile, "logs")); err != nil {
				t.Fatal(err)
			}
		}},
		{"file is a link", func(t *testing.T, profile, outside string) {
			t.Helper()
			os.Mkdir(filepath.Join(profile, "logs"), 0o700)
			if err := os.Symlink(filepath.Join(outside, "target"), filepath.Join(profile, "logs/worker.log")); err != nil {
				t.Fatal(err)
			}
		}},
		{"file is a fifo", func(t *testing.T, profile, _ string) {
			t.Helper()
			os.Mkdir(filepath.Join(profile, "logs"), 0o700)
			if err := syscall.Mkfifo(filepath.Join(profile, "logs/worker.log"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			profile, outside := t.TempDir(), t.TempDir()
			test.trap(t, profile, outside)
			if _, err := NewLogFile(profile, "logs/worker.log", 1<<20, 2).Write([]byte("x\n")); err == nil {
				t.Error("wrote without an error")
			}
			if entries, _ := os.ReadDir(outside); len(entries) > 0 {
				t.Errorf("wrote %v outside of the profile", entries)
			}
		})
	}
}

func TestFewerAndSmallerLogFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(files int, text string) {
		t.Helper()
		l := NewLogFile(dir, "worker.log", 100, files)
		defer l.Close()
		if n, err := io.WriteString(l, text); err != nil || n != len(text) {
			t.Fatal(n, err)
		}
	}
	line := strings.Repeat("x", 39) + "\n"
	names := func() string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, entry := range entries {
			if info, _ := entry.Info(); info.Size() > 100 {
				t.Errorf("%s has %d bytes", entry.Name(), info.Size())
			}
			names = append(names, entry.Name())
		}
		return strings.Join(names, " ")
	}
	write(5, strings.Repeat(line, 20)) // in one piece
	if got := names(); got != "worker.log worker.log.1 worker.log.2 worker.log.3 worker.log.4" {
		t.Errorf("got %s", got)
	}
	write(2, strings.Repeat(line, 3))
	if got := names(); got != "worker.log worker.log.1" {
		t.Errorf("with two: got %s", got)
	}
	write(1, strings.Repeat(line, 3))
	if got := names(); got != "worker.log" {
		t.Errorf("with one: got %s", got)
	}
	write(1, strings.Repeat("y", 300)) // a line is never cut
	if data, _ := os.ReadFile(filepath.Join(dir, "worker.log")); string(data) != strings.Repeat("y", 300) {
		t.Errorf("the long line is %q", data)
	}
}

// Lines are JSON when they come, so a secret may stand there escaped.
func TestSecretsAreFoundInJSON(t *testing.T) {
	t.Parallel()
	const secret = `sec"ret\key<>&1234`
	synctest.Test(t, func(t *testing.T) {
		file := &disk{}
		o := newOutput("alice", file, testRate, func(err error) { t.Error(err) })
		o.redact([]string{secret})
		var lines bytes.Buffer
		for _, html := range []bool{true, false} {
			encoder := json.NewEncoder(&lines)
			encoder.SetEscapeHTML(html)
			if err := encoder.Encode(map[string]string{"msg": "with " + secret + " in it"}); err != nil {
				t.Fatal(err)
			}
		}
		lines.WriteString("panic: " + secret + "\n")
		o.copy(&lines, 1)
		o.close(time.Second)
		for _, r := range parse(t, file.buf.String()) {
			if strings.Contains(r.Msg, "ret") || !strings.Contains(r.Msg, "[redacted]") {
				t.Errorf("the log has %q", r.Msg)
			}
		}
	})
}

func TestSecretThatHoldsAnotherLeavesNoRest(t *testing.T) {
	t.Parallel()
	o := newOutput("alice", nil, 1, nil)
	o.redact([]string{"sk-first", "sk-first-and-second", "sk-first"})
	if got := o.redacted("a sk-first-and-second b sk-first c"); got != "a [redacted] b [redacted] c" {
		t.Errorf("got %q", got)
	}
}
