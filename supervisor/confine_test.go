package supervisor

import (
	"fmt"
	"strings"
	"testing"

	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
)

// A worker that says that it is out of memory is one of which that is known.
func TestWorkerWithoutMemoryIsKnown(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.add("alice", fmt.Sprintf("exit %d", handoff.ExitMemory))
	h.write("alice", "config.yaml", "limits:\n  memory: 128MiB\n")
	port := h.add("bob", "")
	g := h.gateway()
	g.opts.Limits = string(confine.Watched)
	g.run()
	g.await("bob", StateReady)
	var last *Exit
	eventually(t, "alice has died", func() bool {
		last = g.status("alice").LastExit
		return last != nil
	})
	if last.Cause != "oom" || !strings.HasPrefix(last.Reason, "the profile's memory limit of 128 MiB was reached, ended with") {
		t.Errorf("the last exit is %+v", last)
	}
	mustGet(t, port, "/")
	status, err := g.client().Status(t.Context())
	if err != nil || status.Isolation.Limits != "watch" || status.Isolation.Words == "" {
		t.Errorf("the isolation is %+v, %v", status.Isolation, err)
	}
}

// Where the kernel holds limits, a worker that it kills for memory is known too,
// and everything goes with its group.
func TestWorkerKilledByTheKernelIsKnown(t *testing.T) {
	t.Parallel()
	if here := LimitsHere(); here.Limits == "watch" {
		t.Skipf("the kernel cannot hold limits for this user: %s", here.Why)
	}
	h := newHome(t)
	h.add("alice", "swell")
	h.write("alice", "config.yaml", "limits:\n  memory: 64MiB\n")
	port := h.add("bob", "")
	g := h.gateway().run()
	g.await("bob", StateReady)
	var last *Exit
	eventually(t, "alice has died", func() bool {
		last = g.status("alice").LastExit
		return last != nil
	})
	if last.Cause != "oom" || last.Signal != "SIGKILL" || !strings.Contains(last.Reason, "memory limit of 64 MiB was reached") {
		t.Errorf("the last exit is %+v", last)
	}
	mustGet(t, port, "/")
}
