package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"hermes/worker/llm/llmtest"
)

// Words that make this program one of the processes that are measured against.
const (
	upstreamWord = "upstream"
	relayWord    = "relay" // and the URL of the upstream
)

// upstreamKey is sent to the fake upstream, which takes any.
const upstreamKey = "any"

// extra is what OpenAI's chunks carry beside their text; with it they have about
// 330 bytes, as there.
const extra = `"service_tier":"default","system_fingerprint":"fp_0123456789","usage":null,"obfuscation":"0123456789abcdef0123456789abcdef0123456789ab",`

// answer is a model that obeys plain commands.
func answer(call llmtest.Call) llmtest.Reply {
	reply := llmtest.Tiny(call)
	reply.Extra = extra
	return reply
}

// serveChild is the other side of startChild: it prints its URL and serves until
// its stdin ends, which it does with the process that started it. It reports
// false if args are those of no child.
func serveChild(ctx context.Context, args []string, out io.Writer) (bool, error) {
	switch {
	case len(args) == 1 && args[0] == upstreamWord:
		handler := llmtest.NewHandler(answer)
		handler.Keep = -1
		return true, serve(ctx, handler, out)
	case len(args) == 2 && args[0] == relayWord:
		return true, serve(ctx, newRelay(args[1]), out)
	default:
		return false, nil
	}
}

func serve(ctx context.Context, handler http.Handler, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "http://%s\n", listener.Addr()); err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- errors.Join(err, server.Close())
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-ended
}

// child is this program in another process, as a server.
type child struct {
	url   string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startChild(ctx context.Context, args ...string) (*child, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", args[0], err), c.stop())
	}
	c.url = strings.TrimSpace(line)
	return c, nil
}

func (c *child) stop() error {
	return errors.Join(c.stdin.Close(), c.cmd.Wait())
}
