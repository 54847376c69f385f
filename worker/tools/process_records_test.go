package tools

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"
)

// disk is where records of jobs are kept, for as long as it does not fail.
type disk struct {
	memoryJobs

	failing   sync.Mutex // guards what follows
	put, read error
}

// fail makes the disk fail from now on, or not any more.
func (d *disk) fail(put, read error) {
	d.failing.Lock()
	defer d.failing.Unlock()
	d.put, d.read = put, read
}

// failures are what it fails with now.
func (d *disk) failures() (put, read error) {
	d.failing.Lock()
	defer d.failing.Unlock()
	return d.put, d.read
}

func (d *disk) PutJob(ctx context.Context, job Job) error {
	if put, _ := d.failures(); put != nil {
		return put
	}
	return d.memoryJobs.PutJob(ctx, job)
}

func (d *disk) Jobs(ctx context.Context) ([]Job, error) {
	if _, read := d.failures(); read != nil {
		return nil, read
	}
	return d.memoryJobs.Jobs(ctx)
}

// onDisk makes all tools with records of jobs that outlive them.
func onDisk(t *testing.T, records JobRecords) *Set {
	t.Helper()
	set, err := NewSet(kept(Options{Workspace: t.TempDir(), Sandbox: box, Jobs: records, Log: slog.New(slog.DiscardHandler)}))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestJobsEndWithTheirSetAndAreKnownToTheNext(t *testing.T) {
	t.Parallel()
	records := &disk{}
	set := onDisk(t, records)
	ctx := session(t, "s")
	running := background(ctx, t, set, "echo ready; (setsid sleep 98759.5 &); sleep 98759.5; true", false)
	ended := background(ctx, t, set, "echo done; exit 2", false)
	shows(t, set, running, "ready")
	expect(t, processCall(t, set, "wait", ended, nil), false, "exit code 2")
	eventually(t, "what was written is recorded", func() bool {
		job, err := records.Job(t.Context(), running)
		return err == nil && job.Output == "ready\n" && job.Status == JobRunning && job.SessionID == "s" && job.RunID == "r" && job.Dir == set.workspace.dir(".")
	})
	set.Close()
	if left := living(t, "98759.5"); left != nil {
		t.Errorf("still there: %q", left)
	}
	expect(t, call(t.Context(), t, set, "terminal", args{"command": "true", "background": true}), true, "The agent is about to stop.")
	lost := Job{ID: "job_dead", Command: "make", Status: JobLost, Ending: "lost: the agent's process died, and the job with it", Output: "half way\n", Received: 9, Lines: 1, Began: time.Now(), Ended: time.Now()}
	if err := records.PutJob(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	next := onDisk(t, records)
	defer next.Close()
	like(t, processCall(t, next, "list", "", nil), false,
		"job_dead  lost: .*  make\n"+ended+"  exit code 2 after TIME  echo done; exit 2\n"+running+"  killed when the agent stopped after TIME  echo ready; .*\n")
	like(t, processCall(t, next, "poll", "job_dead", nil), false, "half way\n\\[job_dead: lost: .*\\]\n")
	like(t, processCall(t, next, "log", ended, nil), false, "done\n\\["+ended+": exit code 2 after TIME\\]\n")
	like(t, processCall(t, next, "wait", running, nil), false, "ready\n\\["+running+": killed when the agent stopped after TIME\\]\n")
	like(t, processCall(t, next, "kill", "dead", nil), false, "job_dead runs no more: lost: .*")
	expect(t, processCall(t, next, "poll", "job_", nil), true, "job_ is the beginning of several ids: job_dead, ")
}

func TestJobsWhenTheDiskFails(t *testing.T) {
	t.Parallel()
	records := &disk{}
	set := onDisk(t, records)
	defer set.Close()
	expect(t, processCall(t, set, "list", "", nil), false, "There are no background jobs.")
	records.fail(errors.New("the disk is full"), nil)
	got := call(t.Context(), t, set, "terminal", args{"command": "sleep 98758.5", "background": true})
	expect(t, got, true, "The command was stopped right away. It could not be recorded as a background job: the disk is full.")
	got = call(t.Context(), t, set, "terminal", args{"command": "echo begun; sleep 98758.5", "timeout": 1})
	expect(t, got, true, "begun\n[it could not go on in the background: It could not be recorded")
	if left := living(t, "98758.5"); left != nil {
		t.Errorf("still there: %q", left)
	}
	records.fail(nil, errors.New("cannot read"))
	id := background(t.Context(), t, set, "sleep 98758.5", false)
	got = processCall(t, set, "list", "", nil)
	expect(t, got, true, id+"  running for ")
	expect(t, got, true, "The records of the jobs cannot be read: cannot read.")
	expect(t, processCall(t, set, "poll", "job_x", nil), true, "The records of the jobs cannot be read")
	expect(t, processCall(t, set, "kill", id, nil), false, "killed after ")
}

func TestAnEndThatCannotBeRecordedIsKept(t *testing.T) {
	t.Parallel()
	records := &disk{}
	set := onDisk(t, records)
	defer set.Close()
	open := gate(t, set.workspace.dir("."), "gate")
	id := background(t.Context(), t, set, "read x <gate; echo words; exit 5", false)
	eventually(t, "it waits", func() bool { return len(living(t, "read x <gate; echo words")) == 1 })
	records.fail(errors.New("the disk is full"), nil)
	open()
	like(t, processCall(t, set, "wait", id, nil), false, "words\n\\["+id+": exit code 5 after TIME\\]\n")
	expect(t, processCall(t, set, "list", "", nil), false, id+"  exit code 5")
}
