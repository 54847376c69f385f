package supervisor

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// alone is a gateway for all profiles in a process of its own, without a terminal.
type alone struct {
	*testing.T
	home home
	cmd  *exec.Cmd
	log  *buffer
	gone chan struct{} // closed when it has been waited for
}

// alone starts a gateway as a process, and ends it with the test.
func (h home) alone(variables ...string) *alone {
	h.Helper()
	a := &alone{T: h.T, home: h, log: new(buffer), gone: make(chan struct{})}
	a.cmd = exec.Command(os.Args[0], "gateway", h.dir)
	a.cmd.Env = append(os.Environ(), append([]string{"TEST_RELOAD_DRAIN=15m"}, variables...)...)
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	a.cmd.WaitDelay = time.Second
	if err := kids.Start(a.cmd); err != nil { // or a sweep takes it for a stray
		h.Fatal(err)
	}
	go func() {
		defer close(a.gone)
		kids.Wait(a.cmd)
	}()
	h.Cleanup(func() {
		a.end()
		if a.Failed() {
			a.Logf("the gateway printed:\n%s", a.log)
		}
	})
	eventually(h.T, "the gateway answers", func() bool {
		_, err := a.client().Status(context.Background())
		return err == nil
	})
	return a
}

// end ends the gateway as a person does, or kills it.
func (a *alone) end() {
	for _, wait := range []time.Duration{2 * time.Second, patience} {
		a.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-a.gone:
			return
		case <-time.After(wait):
		}
	}
	a.Error("the gateway does not end")
	a.cmd.Process.Kill()
	<-a.gone
}

func (a *alone) client() *Client {
	return newClient(filepath.Join(a.home.dir, runDir, socketAll+".sock"))
}

func (a *alone) whole() Status {
	status, err := a.client().Status(context.Background())
	if err != nil {
		return Status{}
	}
	return status
}

func (a *alone) status(name string) ProfileStatus {
	for _, p := range a.whole().Profiles {
		if p.Name == name {
			return p
		}
	}
	return ProfileStatus{}
}

func (a *alone) await(name string, state State) ProfileStatus {
	a.Helper()
	var last ProfileStatus
	eventually(a.T, fmt.Sprintf("%s is %s", name, state), func() bool {
		last = a.status(name)
		return last.State == state
	})
	return last
}

// upgrade has the gateway become another program; it must be the same process.
func (a *alone) upgrade(binary string) Status {
	a.Helper()
	before, after, err := a.client().Upgrade(a.Context(), binary)
	if err != nil {
		a.Fatal(err)
	}
	if after.PID != a.cmd.Process.Pid || after.Image != before.Image+1 || !after.Since.Equal(before.Since) {
		a.Errorf("after the upgrade it is pid %d, program %d, since %v; before %d, %d, %v",
			after.PID, after.Image, after.Since, before.PID, before.Image, before.Since)
	}
	return after
}

// wrapped is another program: a script that goes on as the test binary.
func wrapped(t *testing.T, variables string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hermes")
	script := fmt.Sprintf("#!/bin/sh\nexec env %s '%s' \"$@\"\n", variables, os.Args[0])
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// stream reads a /slow stream until it is told to stop, and returns what does that
// and says how many ticks came; it reports every byte that is not of a tick.
func stream(t *testing.T, port int) (stop func() int) {
	t.Helper()
	response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/slow", port))
	if err != nil {
		t.Fatal(err)
	}
	var ticks atomic.Int64
	var over atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		words := bufio.NewReader(response.Body)
		for {
			word, err := words.ReadString(' ')
			if over.Load() {
				return
			}
			if err != nil || word != "tick " {
				t.Errorf("a stream was touched after %d ticks: %q, %v", ticks.Load(), word, err)
				return
			}
			ticks.Add(1)
		}
	})
	return func() int {
		over.Store(true)
		response.Body.Close()
		wg.Wait()
		return int(ticks.Load())
	}
}
