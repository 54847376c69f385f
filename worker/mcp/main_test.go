package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"

	"hermes/supervisor/sandbox"
)

// serveAs makes the test binary a server: its value is the kind.
const serveAs = "MCP_TEST_SERVER"

// box is the one Sandbox of the test process, which is a subreaper like a worker.
var box = sandbox.New(sandbox.Options{})

func TestMain(m *testing.M) {
	if kind := os.Getenv(serveAs); kind != "" {
		serveStdio(kind)
		return
	}
	if err := sandbox.BecomeSubreaper(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// serveStdio is a server of some kind, until its input ends.
func serveStdio(kind string) {
	switch kind {
	case "crash":
		fmt.Fprintln(os.Stderr, "Error: Cannot find module 'x'\n    at resolve (node:1)")
		os.Exit(1)
	case "silent":
		_, _ = bufio.NewReader(os.Stdin).ReadString(0)
		return
	case "deaf": // it does not end with its input either
		<-time.After(time.Hour) // nothing at all would be a deadlock, which Go finds and ends
	case "broken":
		fmt.Println("{this is no JSON}")
		_, _ = bufio.NewReader(os.Stdin).ReadString(0)
		return
	case "chatty":
		fmt.Println("[INFO] welcome\n\nListening on stdio")
		for i := range 2000 {
			fmt.Fprintf(os.Stderr, "line %d of a server with the key %s\n", i, os.Getenv("TEST_KEY"))
		}
	}
	server := newTestServer(kind)
	if err := server.Run(context.Background(), &sdk.StdioTransport{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// object is a schema without demands.
var object = json.RawMessage(`{"type":"object"}`)

// newTestServer makes a server with tools of all sorts.
func newTestServer(kind string) *sdk.Server {
	server := sdk.NewServer(&sdk.Implementation{Name: "test", Version: "1"}, nil)
	add := func(name string, schema json.RawMessage, run func(ctx context.Context, input map[string]any) (*sdk.CallToolResult, error)) {
		server.AddTool(&sdk.Tool{Name: name, Description: "Does " + name + ".", InputSchema: schema}, func(ctx context.Context, req *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			var input map[string]any
			if err := json.Unmarshal(req.Params.Arguments, &input); err != nil {
				return nil, err
			}
			return run(ctx, input)
		})
	}
	text := func(text string) (*sdk.CallToolResult, error) {
		return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: text}}}, nil
	}
	add("echo", json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`), func(_ context.Context, input map[string]any) (*sdk.CallToolResult, error) {
		return text(fmt.Sprint(input["text"]))
	})
	add("env", object, func(_ context.Context, input map[string]any) (*sdk.CallToolResult, error) {
		return text(strings.Join(os.Environ(), "\n"))
	})
	add("where", object, func(context.Context, map[string]any) (*sdk.CallToolResult, error) {
		dir, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		return text(dir)
	})
	add("fail", object, func(context.Context, map[string]any) (*sdk.CallToolResult, error) {
		result, err := text("it did not work")
		result.IsError = true
		return result, err
	})
	add("big", object, func(_ context.Context, input map[string]any) (*sdk.CallToolResult, error) {
		n, _ := input["bytes"].(float64)
		return text(strings.Repeat("x", int(n)))
	})
	add("wait", object, func(ctx context.Context, input map[string]any) (*sdk.CallToolResult, error) {
		file := fmt.Sprint(input["file"])
		_ = os.WriteFile(file, []byte("began"), 0o600)
		<-ctx.Done()
		_ = os.WriteFile(file, []byte("cancelled"), 0o600)
		return nil, ctx.Err()
	})
	add("die", object, func(context.Context, map[string]any) (*sdk.CallToolResult, error) {
		fmt.Fprintln(os.Stderr, "fatal: out of luck")
		os.Exit(3)
		return nil, nil
	})
	add("spawn", object, func(context.Context, map[string]any) (*sdk.CallToolResult, error) {
		cmd := exec.Command("sleep", "86397.5")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return text(fmt.Sprint(cmd.Process.Pid))
	})
	add("grow", object, func(context.Context, map[string]any) (*sdk.CallToolResult, error) {
		add("grown", object, func(context.Context, map[string]any) (*sdk.CallToolResult, error) { return text("tall") })
		return text("ok")
	})
	if kind == "many" {
		for i := range 10_000 {
			add(fmt.Sprintf("tool%05d", i), object, func(context.Context, map[string]any) (*sdk.CallToolResult, error) { return text("ok") })
		}
	}
	return server
}

// record is a log that tests read.
type record struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// testConfig is a server that is this binary.
func testConfig(t *testing.T, kind string) Config {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		Name: "test", Command: exe, Env: map[string]string{serveAs: kind, "TEST_KEY": "canary-key-of-the-server"},
		Timeout: 20 * time.Second, ConnectTimeout: 20 * time.Second,
	}
}

// newServers makes Servers that end with the test.
func newServers(t *testing.T, configs ...Config) (*Servers, *record) {
	t.Helper()
	return newServersIn(t, t.TempDir(), configs...)
}

// newServersIn makes Servers whose files are in a directory.
func newServersIn(t *testing.T, dir string, configs ...Config) (*Servers, *record) {
	t.Helper()
	log := &record{}
	s := New(Options{
		Servers: configs, Sandbox: box, Workspace: dir, Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GORACE=atexit_sleep_ms=0"},
		CachePath: filepath.Join(dir, "mcp-tools.json"), Version: "test",
		Redact: func(text string) string { return strings.ReplaceAll(text, "canary-key-of-the-server", "[redacted]") },
		Log:    slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	t.Cleanup(s.Close)
	return s, log
}

// call calls a tool of the server "test".
func call(t *testing.T, s *Servers, tool, arguments string) Result {
	t.Helper()
	result, err := s.Call(t.Context(), "test", tool, json.RawMessage(arguments))
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func names(tools []Tool) []string {
	var names []string
	for _, tool := range tools {
		names = append(names, tool.Name)
	}
	return names
}

// eventually polls for what another process does in its own time.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("not in time: ", what)
		}
	}
}
