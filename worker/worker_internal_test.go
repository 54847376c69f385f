package worker

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleTidiesOnceAfterTheLastTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tidied atomic.Int32
		i := &idle{
			checkpoint: func(context.Context) error { tidied.Add(1); return nil },
			log:        slog.New(slog.DiscardHandler),
		}
		i.busy(1)
		i.busy(0)
		time.Sleep(idleAfter / 2)
		i.busy(1) // a new turn ends the wait
		time.Sleep(2 * idleAfter)
		synctest.Wait()
		if got := tidied.Load(); got != 0 {
			t.Errorf("tidied %d times while a turn ran", got)
		}
		i.busy(0)
		time.Sleep(2 * idleAfter)
		synctest.Wait()
		if got := tidied.Load(); got != 1 {
			t.Errorf("tidied %d times after the last turn, want once", got)
		}
		i.busy(0)
		i.stop() // a wait that has not ended does not hold the worker up
	})
}

func TestAWorkerThatWaitsHasOneProcessor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var used []bool
		i := &idle{
			checkpoint: func(context.Context) error { return nil },
			processors: func(all bool) { used = append(used, all) },
			log:        slog.New(slog.DiscardHandler),
		}
		wait := func(d time.Duration, want ...bool) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if !slices.Equal(used, want) {
				t.Errorf("all processors are used: %v, want %v", used, want)
			}
		}
		i.busy(0) // it was started
		wait(2 * idleAfter)
		i.busy(1)
		i.busy(2)
		wait(2*idleAfter, true)
		i.busy(0)
		wait(idleAfter/2, true)
		i.busy(1)
		i.busy(0)
		wait(2*idleAfter, true, false)
		i.busy(1)
		wait(0, true, false, true)
		i.stop()
	})
}

func TestRedactorTakesWholeSecretsOut(t *testing.T) {
	t.Parallel()
	redact := newRedactor([]string{"sk-abcdefgh", "sk-abcdefgh-long", "short"}).text
	for _, test := range []struct{ name, in, want string }{
		{"in the middle", "key=sk-abcdefgh;", "key=[redacted];"},
		{"the longer one whole", "sk-abcdefgh-long", "[redacted]"},
		{"too short to be told from a word", "a short word", "a short word"},
		{"twice", "sk-abcdefgh,sk-abcdefgh", "[redacted],[redacted]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := redact(test.in); got != test.want {
				t.Errorf("%q became %q, want %q", test.in, got, test.want)
			}
		})
	}
}
