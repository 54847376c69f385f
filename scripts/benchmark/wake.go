package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"time"
)

const (
	// sleepers is how many profiles are woken, one after the other, and then wait
	// beside as many bare servers.
	sleepers = 100
	// calmBefore is how long nothing happens before a profile is woken.
	calmBefore = 200 * time.Millisecond
	// calmAfter is when a worker that has done nothing has given back what its start
	// took, and a second more.
	calmAfter = 9 * time.Second
	// wakeLimit is how long one may take to answer.
	wakeLimit = 10 * time.Second
)

// woken is what it costs to have a worker that did not run before, beside the least
// that a program of Go can be.
type woken struct {
	Hermes float64 `json:"hermes_us"` // from a client's connection to the first byte of /health
	Next   float64 `json:"next_us"`   // the same of a profile that is woken right after another one
	Bare   float64 `json:"bare_us"`   // the same of a bare server that is started then
	Worker int64   `json:"worker_bytes"`
	Server int64   `json:"bare_bytes"`
}

// measureWake wakes profiles that sleep, two at a time, and starts bare servers, in
// turn, and then compares what both occupy.
func measureWake(ctx context.Context, h *hermes, bare string) (w woken, err error) {
	if err := h.create(ctx, sleepers); err != nil {
		return w, err
	}
	if _, err := h.run(ctx, "config", "set", "supervisor.start", "on-demand"); err != nil {
		return w, err
	}
	var servers []*exec.Cmd
	defer func() {
		for _, server := range servers {
			_ = server.Process.Kill()
			_ = server.Wait() // it was killed
		}
	}()
	ports, err := h.ports(ctx)
	if err != nil {
		return w, err
	}
	err = h.attend(ctx, "sleeping", func(g *gateway) error {
		var ours, next, theirs []float64
		for pair := range slices.Chunk(ports, 2) {
			if err := pause(ctx, calmBefore); err != nil {
				return err
			}
			for i, port := range pair {
				took, err := firstByte(ctx, "127.0.0.1:"+port, func() error { return nil })
				if err != nil {
					return fmt.Errorf("wake the profile on port %s: %w", port, err)
				}
				if i == 0 {
					ours = append(ours, took)
				} else {
					next = append(next, took)
				}
			}
			if err := pause(ctx, calmBefore); err != nil {
				return err
			}
			for range pair {
				server, took, err := startBare(ctx, bare)
				if err != nil {
					return err
				}
				servers, theirs = append(servers, server), append(theirs, took)
			}
		}
		w.Hermes, w.Next, w.Bare = median(ours), median(next), median(theirs)
		if err := pause(ctx, calmAfter); err != nil {
			return err
		}
		awake, err := h.look(ctx, "ready")
		if err != nil {
			return err
		}
		if awake == nil {
			return errors.New("not all profiles that were woken are ready")
		}
		m, err := awake.memory(ctx)
		if err != nil {
			return err
		}
		w.Worker = m.Worker
		for _, server := range servers {
			n, err := pss(server.Process.Pid)
			if err != nil {
				return err
			}
			w.Server += n / int64(len(servers))
		}
		return nil
	})
	return w, err
}

// ports are where the profiles listen.
func (h *hermes) ports(ctx context.Context) (ports []string, err error) {
	for _, name := range h.names {
		port, err := h.run(ctx, "-p", name, "config", "get", "API_SERVER_PORT")
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	return ports, nil
}

// startBare starts a bare server for a client that waits, and returns how long that
// took.
func startBare(ctx context.Context, bare string) (*exec.Cmd, float64, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = listener.Close() }()
	socket, err := listener.(*net.TCPListener).File() //nolint:errcheck // a listener for tcp is one
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = socket.Close() }()
	cmd := exec.CommandContext(ctx, bare)
	cmd.Env, cmd.Stderr, cmd.ExtraFiles = []string{}, os.Stderr, []*os.File{socket}
	took, err := firstByte(ctx, listener.Addr().String(), cmd.Start)
	if err != nil && cmd.Process != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	return cmd, took, err
}

// firstByte connects, asks for /health, has a server started, and returns after how
// many microseconds the first byte came.
func firstByte(ctx context.Context, address string, start func() error) (float64, error) {
	began := time.Now()
	conn, err := (&net.Dialer{Timeout: wakeLimit}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(began.Add(wakeLimit)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, err
	}
	if err := start(); err != nil {
		return 0, err
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		return 0, fmt.Errorf("no answer: %w", err)
	}
	return float64(time.Since(began).Nanoseconds()) / 1000, nil
}
