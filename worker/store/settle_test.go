package store_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hermes/worker/store"
)

// abandon leaves a file as a process leaves it that dies in the middle of two
// runs.
func abandon(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(path, store.Options{Now: start})
	begin(t, s, "s", "ended")
	must(t, s.EndRun(t.Context(), "ended", store.End{Status: store.StatusDone}, nil))
	begin(t, s, "s", "asked")
	ask(t, s, "asked", "answered", "running", "pending")
	must(t, s.StartTool(t.Context(), "asked", "answered", time.Time{}))
	must(t, s.FinishTool(t.Context(), "asked", "answered", store.ToolResult{Text: "ok"}))
	must(t, s.StartTool(t.Context(), "asked", "running", time.Time{}))
	begin(t, s, "s2", "begun")
	must(t, s.Close())
	return path
}

func TestAbandonedRunsAreSettled(t *testing.T) {
	t.Parallel()
	path := abandon(t)
	later := start().Add(time.Hour)
	for range 2 { // the second time changes nothing
		s := store.Open(path, store.Options{Recover: true, Now: func() time.Time { return later }})
		for run, want := range map[string]string{"ended": store.StatusDone, "asked": store.StatusInterrupted, "begun": store.StatusInterrupted} {
			got, err := s.Run(t.Context(), run)
			must(t, err)
			if got.Status != want {
				t.Errorf("run %s is %s, want %s", run, got.Status, want)
			}
			if want == store.StatusInterrupted && (!got.Ended.Equal(start().Add(time.Hour)) || got.Error == "") {
				t.Errorf("run %s: %+v", run, got)
			}
		}
		want := []string{
			"user hi", "user hi", "assistant calls", "tool answered=ok",
			"tool running=interrupted; its effects are unknown", "tool pending=interrupted; its effects are unknown",
		}
		if got := transcript(t, s, "s"); !slices.Equal(got, want) {
			t.Errorf("transcript is\n%q, want\n%q", got, want)
		}
		calls, err := s.ToolCalls(t.Context(), "asked")
		must(t, err)
		for i, want := range []string{store.CallDone, store.CallInterrupted, store.CallInterrupted} {
			if calls[i].Status != want || calls[i].Result == "" {
				t.Errorf("call is %+v, want %s", calls[i], want)
			}
		}
		must(t, s.Close())
		later = later.Add(time.Hour)
	}
}

func TestRunsOfALivingProcessAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := reopen(t, abandon(t), store.Options{})
	run, err := s.Run(t.Context(), "asked")
	must(t, err)
	if run.Status != store.StatusRunning {
		t.Errorf("run is %s", run.Status)
	}
	if got := transcript(t, s, "s"); len(got) != 4 {
		t.Errorf("transcript is %q", got)
	}
}
