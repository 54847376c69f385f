package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"hermes/supervisor"
)

// A worker that is starting is waited for, not for ever, and not when nobody wants it
// any more.
func TestWorkerThatStartsIsWaitedFor(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		ready, leave time.Duration // from the beginning; 0 is never
		err          error
		took         time.Duration
		retry        time.Duration // after a death
		state        supervisor.State
	}{
		"at once":       {ready: time.Nanosecond, took: 0, state: supervisor.StateReady},
		"in a second":   {ready: time.Second, took: time.Second, state: supervisor.StateReady},
		"after a death": {ready: 2 * time.Second, retry: time.Second, took: 2 * time.Second, state: supervisor.StateReady},
		"after many":    {retry: time.Minute, took: 0, state: supervisor.StateBackoff},
		"never":         {took: chatStart, state: supervisor.StateStarting},
		"interrupted":   {leave: time.Second, took: time.Second, err: context.Canceled, state: supervisor.StateStarting},
		"no gateway":    {ready: 2 * time.Second, took: 0, err: broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.leave > 0 {
					time.AfterFunc(test.leave, cancel)
				}
				status, _, err := started(ctx, func() (supervisor.ProfileStatus, bool, error) {
					state := supervisor.StateStarting
					if time.Since(began) < test.retry {
						state = supervisor.StateBackoff
					}
					if test.ready > 0 && time.Since(began)+1 >= test.ready {
						state = supervisor.StateReady
					}
					if errors.Is(test.err, broken) {
						return supervisor.ProfileStatus{}, false, broken
					}
					return supervisor.ProfileStatus{State: state, Retry: began.Add(test.retry)}, true, nil
				})
				if !errors.Is(err, test.err) || status.State != test.state || time.Since(began) != test.took {
					t.Errorf("after %s it is %q, %v", time.Since(began), status.State, err)
				}
			})
		})
	}
}
