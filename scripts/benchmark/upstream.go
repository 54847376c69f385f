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

// upstreamWord makes this program the fake upstream.
const upstreamWord = "upstream"

// upstreamKey is sent to the fake upstream, which takes any.
const upstreamKey = "any"

// serveUpstream is the fake upstream: it prints its URL and serves until its
// stdin ends, which it does with the process that started it.
func serveUpstream(ctx context.Context, out io.Writer) error {
	handler := llmtest.NewHandler(nil)
	handler.Keep = -1
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

// upstream is the running fake upstream.
type upstream struct {
	url   string
	cmd   *exec.Cmd
	stdin io.Closer
}

func startUpstream(ctx context.Context) (*upstream, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, upstreamWord)
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
	up := &upstream{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start upstream: %w", err), up.stop())
	}
	up.url = strings.TrimSpace(line)
	return up, nil
}

func (u *upstream) stop() error {
	return errors.Join(u.stdin.Close(), u.cmd.Wait())
}
