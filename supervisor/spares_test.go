package supervisor

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Many that start at once share one spare, and none of them fails for it.
func TestSparesInAStorm(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	ports := map[string]int{}
	for i := range 12 {
		name := fmt.Sprintf("p%02d", i)
		ports[name] = h.add(name, "")
	}
	g := h.onDemand().run()
	for name := range ports {
		g.await(name, StateSleeping)
	}
	all := func(path, want string) {
		var wg sync.WaitGroup
		for name, port := range ports {
			wg.Go(func() {
				if got, err := get(port, path); want != "" && (err != nil || !strings.HasPrefix(got, want)) {
					t.Errorf("%s answers %q, %v", name, got, err)
				}
			})
		}
		wg.Wait()
	}
	stocked := func() bool {
		status, err := g.client().Status(t.Context())
		return err == nil && status.Spares == 1
	}
	eventually(t, "there is a spare", stocked)
	all("/", "p")
	eventually(t, "there is a spare again", stocked)
	all("/crash", "")
	for name := range ports {
		eventually(t, name+" serves again", func() bool {
			p := g.status(name)
			return p.State == StateReady && p.Restarts == 1
		})
	}
	eventually(t, "there is a spare in the end", stocked)
}

func TestDeadSpareIsNotTaken(t *testing.T) {
	t.Parallel()
	log := new(buffer)
	s := &spares{children: kids, log: slog.New(slog.NewTextHandler(log, nil)), most: 2}
	defer s.empty(true)
	m := maker{exe: os.Args[0], environ: os.Environ(), children: kids}
	for range 2 {
		if err := s.add(m); err != nil {
			t.Fatal(err)
		}
	}
	dead, alive := s.ready[1], s.ready[0]
	if err := syscall.Kill(dead.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its death shows", func() bool { return !dead.link.Silent() })
	if b := s.take(); b != alive || !b.link.Silent() {
		t.Errorf("took %+v", b)
	} else {
		s.end(b)
	}
	if b := s.take(); b != nil {
		t.Errorf("took %+v of none", b)
	}
	s.ending.Wait()
	if !strings.Contains(log.String(), fmt.Sprintf("pid=%d", dead.cmd.Process.Pid)) {
		t.Errorf("the log is silent of it: %s", log)
	}
	// None is kept when all is over, even one that was under way.
	s.empty(true)
	if err := s.add(m); err != nil || s.count() != 0 {
		t.Errorf("%d are kept, %v", s.count(), err)
	}
}

func TestSparesWaitForWhatStarts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := &fleet{spares: &spares{most: 1}}
	sleeper := &member{service: newService(limits{}, now)}
	sleeper.wanted, sleeper.mode = true, startOnDemand
	if f.wantedSpares() != 0 {
		t.Error("a spare for nobody")
	}
	f.members = []*member{sleeper}
	if f.wantedSpares() != 1 {
		t.Error("no spare for a profile that sleeps")
	}
	f.stock(now, true)
	if f.stocking || f.nextStock(now, time.Second) != stockAfter {
		t.Errorf("the next look is in %v", f.nextStock(now, time.Second))
	}
	f.stock(now.Add(stockAfter/2), false)
	if f.stocking {
		t.Error("a spare is made right after a start")
	}
	f.upgrading = true
	f.stock(now.Add(time.Second), false)
	if f.stocking {
		t.Error("a spare is made in an upgrade")
	}
	f.upgrading, f.stopping = false, true
	f.stock(now.Add(time.Second), false)
	if f.stocking || f.wantedSpares() != 0 {
		t.Error("a spare is made by a gateway that stops")
	}
}

// What was changed a moment before a request that wakes a profile counts for it,
// though a wake-up does not read files that are as they were.
func TestEditJustBeforeAWakeUpCounts(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	port := h.add("alice", "")
	h.write("alice", "config.yaml", "supervisor: {idle_stop: 50ms}\nmodel: {provider: openai, default: first, base_url: http://127.0.0.1:1}\n")
	g := h.onDemand().run()
	asleep := func() bool { p := g.status("alice"); return p.State == StateSleeping && p.PID == 0 }
	for _, model := range []string{"first", "first", "other", "third"} {
		eventually(t, "alice sleeps, and no worker is left", asleep)
		if model != "first" {
			h.write("alice", "config.yaml", fmt.Sprintf("supervisor: {idle_stop: 50ms}\nmodel: {provider: openai, default: %s, base_url: http://127.0.0.1:1}\n", model))
		}
		if got := mustGet(t, port, "/told"); !strings.HasPrefix(got, model+" ") {
			t.Errorf("it was told %q, the file says %s", got, model)
		}
	}
}
