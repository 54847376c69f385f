package confine

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWatcherEndsTheLargestCommand holds what is killed, and in which order, over
// trees that are made up.
func TestWatcherEndsTheLargestCommand(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	// Processes that are in no /proc count as large as they are said to be.
	gone := 1 << 30
	at := func(n, parent, threads int, resident int64) process {
		return process{pid: gone + n, parent: gone + parent, group: gone + n, threads: threads, resident: resident}
	}
	worker := at(0, -1, 20, 30*mib)
	for name, test := range map[string]struct {
		tree   []process
		limits Limits
		killed []int
		over   bool
		next   time.Duration
		counts Counts
	}{
		"idle":        {[]process{worker}, Limits{Memory: 512 * mib, Processes: 50}, nil, false, calm, Counts{}},
		"at work":     {[]process{worker, at(1, 0, 1, mib)}, Limits{Memory: 512 * mib, Processes: 50}, nil, false, calm / 4, Counts{}},
		"half full":   {[]process{worker, at(1, 0, 1, 300*mib)}, Limits{Memory: 512 * mib, Processes: 50}, nil, false, alert, Counts{}},
		"half forked": {[]process{worker, at(1, 0, 30, mib)}, Limits{Memory: 512 * mib, Processes: 50}, nil, false, alert, Counts{}},
		"sum of one command": {
			[]process{worker, at(1, 0, 1, 200*mib), at(2, 0, 1, mib), at(3, 2, 1, 150*mib), at(4, 3, 1, 150*mib)},
			Limits{Memory: 512 * mib},
			[]int{2, 3, 4},
			false, alert / 4,
			Counts{Memory: 1},
		},
		"forks": {
			[]process{worker, at(1, 0, 3, 400*mib), at(2, 0, 1, mib), at(3, 2, 50, mib)},
			Limits{Memory: 512 * mib, Processes: 50},
			[]int{2, 3},
			false, alert / 4,
			Counts{Processes: 1},
		},
		"the worker itself": {[]process{at(0, -1, 20, 600*mib)}, Limits{Memory: 512 * mib}, nil, true, 0, Counts{Memory: 1}},
		"no limits":         {[]process{worker, at(1, 0, 9999, 99999*mib)}, Limits{}, nil, false, calm / 4, Counts{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := NewWatcher(test.limits, slog.New(slog.DiscardHandler), false, nil)
			w.list = func() ([]process, error) { return test.tree, nil }
			var killed []int
			w.kill = func(processes []process) {
				for _, p := range processes {
					killed = append(killed, p.pid-gone)
				}
			}
			next, over := w.look()
			if !slices.Equal(killed, test.killed) || over != test.over || next != test.next || w.Counts() != test.counts {
				t.Errorf("killed %v, over %v, next %v, counts %+v", killed, over, next, w.Counts())
			}
		})
	}
}

func TestWatcherLooksMoreOftenNearTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks, over := 0, make(chan struct{})
		w := NewWatcher(Limits{Memory: 100}, slog.New(slog.DiscardHandler), false, func() { close(over) })
		w.list = func() ([]process, error) {
			looks++
			size := int64(10)
			switch {
			case looks > 20:
				size = 1000
			case looks > 10:
				size = 60
			}
			return []process{{pid: 1 << 30, resident: size}}, nil
		}
		began := time.Now()
		go w.Run(t.Context())
		<-over
		if took := time.Since(began); looks != 21 || took != 11*calm+10*alert {
			t.Errorf("%d looks in %v", looks, took)
		}
	})
}

func TestCountsAreRead(t *testing.T) {
	t.Parallel()
	at := func(text string) string {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := Files{Memory: at("low 0\noom 7\noom_kill 3\noom_group_kill 1\n"), Processes: at("max 12\n")}
	if got := files.Counts(); got != (Counts{3, 12}) {
		t.Errorf("got %+v", got)
	}
	files = Files{Memory: at("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n"), Processes: "/not/there"}
	if got := files.Counts(); got != (Counts{Memory: 5}) {
		t.Errorf("v1: got %+v", got)
	}
}
