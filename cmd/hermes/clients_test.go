package main_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// clientsNode is the oldest Node.js that the clients are made for. Debian 12
// comes with an older one.
const clientsNode = 22

// clients fetches the client libraries once for all tests and returns the Node.js
// to run them with: the machine's, or one that npm brings along where that is too
// old. The lock file pins what is fetched; while it stays the same, what was
// fetched for an earlier run is used.
var clients = sync.OnceValues(func() (node string, err error) {
	dir, err := filepath.Abs(filepath.Join("testdata", "clients"))
	if err != nil {
		return "", err
	}
	args := []string{"ci", "--no-audit", "--no-fund", "--ignore-scripts"}
	node = "node"
	if newEnough(node) {
		args = append(args, "--omit=optional")
	} else {
		arch := strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
		node = filepath.Join(dir, "node_modules", "node-"+runtime.GOOS+"-"+arch, "bin", "node")
	}
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return "", err
	}
	// npm ci begins with an empty node_modules, so the stamp stands for all of it.
	stamp := filepath.Join(dir, "node_modules", ".fetched")
	if fetched, err := os.ReadFile(stamp); err != nil || !bytes.Equal(fetched, lock) || !newEnough(node) {
		cmd := exec.Command("npm", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		if !newEnough(node) {
			return "", fmt.Errorf("the clients need Node.js %d or newer on PATH", clientsNode)
		}
		if err := os.WriteFile(stamp, lock, 0o600); err != nil {
			return "", err
		}
	}
	return node, nil
})

// goClient builds the program that speaks for the official Go library into a
// directory and returns its path. It is a module of its own. Without the
// optimiser the library, which is large, takes half the time to build.
func goClient(dir string) (string, error) {
	program := filepath.Join(dir, "client")
	cmd := exec.Command("go", "build", "-gcflags=github.com/openai/openai-go/...=-N -l", "-ldflags=-s -w", "-o", program, ".")
	cmd.Dir = filepath.Join("testdata", "clients", "go")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the Go client: %w\n%s", err, out)
	}
	return program, nil
}

func newEnough(node string) bool {
	out, err := exec.Command(node, "--version").Output()
	var major int
	_, scanned := fmt.Sscanf(string(out), "v%d.", &major)
	return err == nil && scanned == nil && major >= clientsNode
}

// wish is what a client is told to do. testdata/clients/harness.mjs says how.
type wish struct {
	Do       string   `json:"do"`
	Form     string   `json:"form"` // json, stream or helper
	Messages []string `json:"messages"`
	Image    string   `json:"image,omitempty"`
	// Temperature is sent if it is set.
	Temperature *float64 `json:"temperature,omitempty"`
	// Retries is how often the library may try again by itself.
	Retries int `json:"retries"`
	// Abort lets the client give up when it is told to, Leave lets it leave the
	// loop over a stream at the first piece of text.
	Abort bool `json:"abort,omitempty"`
	Leave bool `json:"leave,omitempty"`
	// History is how a turn follows the one before, the library's own way if it is
	// empty: chain, conversation or items.
	History string `json:"history,omitempty"`

	BaseURL string `json:"baseURL"`
	Key     string `json:"key"`
}

// saw is what a client reports.
type saw struct {
	Text   string // of the last turn
	Texts  []string
	Pieces int
	Finish string
	Tokens int
	// Calls are the tools that the last answer asks the client to run, Ran what the
	// client's own tool was run with.
	Calls []string
	Ran   []string
	// Invalid are calls of tools that the client does not know, Shown those that it
	// takes for run by the server.
	Invalid []string
	Shown   []string
	Parsed  any
	Begun   string // the first status of a response in the background
	Gap     int    // between the events before and after somebody left
	Error   *sawError
}

type sawError struct {
	Name    string
	Status  int
	Code    any
	Param   any
	Message string
	Last    *sawError // of several tries
}

// driven is a client that runs, and the profile that it speaks to.
type driven struct {
	person person
	base   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer // to be read when the client has ended
}

// drive starts a client. It ends with the test.
func drive(t *testing.T, p person, program string, args ...string) *driven {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	d := &driven{person: p, base: p.url + "/v1", cmd: exec.CommandContext(ctx, program, args...)}
	d.cmd.Dir = filepath.Join("testdata", "clients")
	d.cmd.Stderr = &d.stderr
	in, errIn := d.cmd.StdinPipe()
	out, errOut := d.cmd.StdoutPipe()
	if err := cmp.Or(errIn, errOut); err != nil {
		t.Fatal(err)
	}
	d.in, d.out = in, bufio.NewReader(out)
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if t.Failed() {
			cancel() // it may wait for an answer
		}
		if err := d.cmd.Wait(); err != nil && !t.Failed() {
			t.Errorf("the client ended badly: %v\n%s", err, d.stderr.String())
		}
		cancel()
	})
	return d
}

// begin tells the client what to do.
func (d *driven) begin(t *testing.T, w wish) {
	t.Helper()
	w.BaseURL = d.base
	w.Key = cmp.Or(w.Key, d.person.key)
	line, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		d.fatal(t, err)
	}
}

// abort tells a client with a wish to abort that it is time.
func (d *driven) abort(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(d.in, "now\n"); err != nil {
		d.fatal(t, err)
	}
}

// end waits for what the client saw.
func (d *driven) end(t *testing.T) saw {
	t.Helper()
	line, err := d.out.ReadBytes('\n')
	if err != nil {
		d.fatal(t, err)
	}
	var got saw
	if err := json.Unmarshal(line, &got); err != nil {
		t.Fatalf("read %q: %v", line, err)
	}
	if testing.Verbose() {
		t.Logf("%s", bytes.TrimSpace(line))
	}
	return got
}

// fatal ends a test whose client has ended early, or takes too long.
func (d *driven) fatal(t *testing.T, err error) {
	t.Helper()
	d.in.Close()
	ended := d.cmd.Wait()
	t.Fatalf("the client: %v, %v\n%s", err, ended, d.stderr.String())
}
