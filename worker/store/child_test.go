package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hermes/worker/store"
)

const (
	// childEnv makes the test binary a process that writes to the file it names.
	childEnv = "STORE_TEST_CHILD"
	// workEnv is what the child does: see works.
	workEnv = "STORE_TEST_CHILD_WORK"
	// limitEnv is the largest file in bytes that the child may write.
	limitEnv = "STORE_TEST_FILE_LIMIT"
)

// works is what a child can do with the file at path.
func works() map[string]func(ctx context.Context, path string) int {
	return map[string]func(ctx context.Context, path string) int{
		"":          recordTurns,
		"responses": putResponses,
		"decisions": addDecisions,
		"syncs":     loseSyncs,
		"reopen":    reopenAfterFailure,
	}
}

// recordTurns records turns from four goroutines for as long as it can, and
// prints a line for each step that was acknowledged: "RUN STEP". What ends it is
// printed last.
func recordTurns(ctx context.Context, path string) int {
	if limit, err := strconv.ParseUint(os.Getenv(limitEnv), 10, 64); err == nil {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
			fmt.Println("error", err)
			return 1
		}
	}
	s := store.Open(path, store.Options{Recover: true})
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				if err := childTurn(ctx, s, fmt.Sprintf("%d-%d-%d", os.Getpid(), worker, n)); err != nil {
					kind := "other"
					if errors.Is(err, store.ErrIO) {
						kind = "io"
					}
					fmt.Println("error", kind, err)
					return
				}
			}
		})
	}
	wg.Wait()
	return 1
}

func childTurn(ctx context.Context, s *store.Store, run string) error {
	steps := []struct {
		name string
		do   func() error
	}{
		{"begin", func() error {
			return s.BeginRun(ctx, store.Session{ID: "s"}, store.Run{ID: run}, store.Message{Body: make([]byte, 3000)})
		}},
		{"ask", func() error {
			return s.AppendAssistant(ctx, run, store.Message{Body: []byte("x")}, []store.ToolCall{{ID: "1"}, {ID: "2"}})
		}},
		{"start", func() error { return s.StartTool(ctx, run, "1", time.Time{}) }},
		{"finish", func() error { return s.FinishTool(ctx, run, "1", store.ToolResult{Text: run}) }},
		{"end", func() error {
			return s.EndRun(ctx, run, store.End{Status: store.StatusDone}, &store.Message{Body: []byte("bye")})
		}},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return err
		}
		fmt.Println(run, step.name)
		if rand.IntN(10) == 0 {
			if err := s.Checkpoint(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// runChild starts a child, kills it with SIGKILL once so many steps were
// acknowledged, and returns the acknowledged steps as "RUN STEP", and what the
// child said of its own end.
func runChild(t *testing.T, path string, kill int, env ...string) (acks map[string]bool, said string) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+path)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	acks = map[string]bool{}
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		if line := scanner.Text(); strings.HasPrefix(line, "error") {
			said += line + "\n"
		} else {
			acks[line] = true
		}
		if len(acks) == kill {
			must(t, cmd.Process.Kill())
		}
	}
	cmd.Wait() // it was killed, or says why it ended
	return acks, said
}

// check opens the file as the next process would and looks for every
// acknowledged step.
func check(t *testing.T, path string, acks map[string]bool) {
	t.Helper()
	s := store.Open(path, store.Options{Recover: true})
	defer s.Close()
	for ack := range acks {
		id, step, _ := strings.Cut(ack, " ")
		run, err := s.Run(t.Context(), id)
		if err != nil {
			t.Errorf("%s was acknowledged: %v", ack, err)
			continue
		}
		calls, err := s.ToolCalls(t.Context(), id)
		must(t, err)
		held := true
		switch step {
		case "ask":
			held = len(calls) == 2
		case "start":
			held = len(calls) == 2 && !calls[0].Started.IsZero()
		case "finish":
			held = len(calls) == 2 && calls[0].Status == store.CallDone && calls[0].Result == id
		case "end":
			held = run.Status == store.StatusDone
		}
		if !held {
			t.Errorf("%s was acknowledged: run %+v, calls %+v", ack, run, calls)
		}
		if run.Status == store.StatusRunning {
			t.Errorf("run %s is still running", id)
		}
		for _, call := range calls {
			if call.Result == "" {
				t.Errorf("call %+v has no result", call)
			}
		}
	}
	var verdict string
	must(t, raw(t, path).QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		t.Errorf("integrity check: %s", verdict)
	}
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	all := map[string]bool{}
	for range 6 {
		acks, said := runChild(t, path, 1+rand.IntN(200))
		if said != "" {
			t.Fatalf("the child ended by itself: %s", said)
		}
		check(t, path, acks)
		maps.Copy(all, acks)
	}
	check(t, path, all)
}

// A limit on the size of files makes real writes fail in their middle.
func TestFailingWritesAreToldAndLoseNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	acks, said := runChild(t, path, -1, limitEnv+"=600000")
	if len(acks) == 0 || !strings.Contains(said, "error io ") || strings.Contains(said, "error other") {
		t.Errorf("after %d steps the child said:\n%s", len(acks), said)
	}
	check(t, path, acks)
}
