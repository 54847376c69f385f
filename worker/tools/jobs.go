package tools

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"hermes/supervisor/sandbox"
)

const (
	// maxJobs is how many jobs of a profile run at once.
	maxJobs = 16
	// saveEvery is the least time between two records of what a job has written,
	// savedTail how much of the end is in them, in bytes. It is what a crash leaves.
	saveEvery = time.Second
	savedTail = 8_000
	// recordTimeout bounds a record.
	recordTimeout = 5 * time.Second
	// jobPrefix is what ids of jobs begin with, so that a model knows one again.
	jobPrefix = "job_"
)

// newJobID makes an id for a command that may become a job.
func newJobID() string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // it never fails
	return jobPrefix + hex.EncodeToString(random[:])
}

// jobs are the background jobs of a profile. They outlive the turns that start
// them, and end with close.
type jobs struct {
	records JobRecords
	log     *slog.Logger
	onJobs  func(running int)
	wg      sync.WaitGroup // those who watch a job

	mu      sync.Mutex // guards what follows
	closed  bool
	running map[string]*job
	// seen is how much of a job's output polls have shown.
	seen map[string]int64
	// unsaved are jobs whose end could not be recorded.
	unsaved map[string]Job
}

func newJobs(records JobRecords, onJobs func(int), log *slog.Logger) *jobs {
	if records == nil {
		records = &memoryJobs{}
	}
	if onJobs == nil {
		onJobs = func(int) {}
	}
	return &jobs{
		records: records, log: log, onJobs: onJobs,
		running: make(map[string]*job), seen: make(map[string]int64), unsaved: make(map[string]Job),
	}
}

// job is a job that runs.
type job struct {
	begun   Job // what does not change
	command *started
	done    chan struct{} // closed when its end is recorded
	final   Job           // what it came to, once done is closed
	killed  string        // who ended it; guarded by jobs.mu
	typing  typing
}

// started is a command on its way.
type started struct {
	running *sandbox.Running
	output  *output
	cleaner *sandbox.Cleaner
	report  *report // nil if nobody asks where it ends
}

// end waits for the end of the command, and of its output.
func (c *started) end() sandbox.Output {
	out := c.running.Output()
	_ = c.cleaner.Flush()
	c.output.close()
	return out
}

// release gives back what the command holds, after its end.
func (c *started) release() {
	if c.report != nil {
		c.report.close()
	}
}

// record is the job as it is now, with the end of its output.
func (j *job) record(limit int) Job {
	record, v := j.begun, j.command.output.view(limit)
	record.Received, record.Lines, record.File, record.Output = v.received, v.lines, v.file, v.tail
	return record
}

// full says why no further job may run, or nothing. The caller holds mu.
func (js *jobs) full() string {
	switch {
	case js.closed:
		return "The agent is about to stop."
	case len(js.running) < maxJobs:
		return ""
	}
	now := time.Now()
	lines := []string{fmt.Sprintf("%d background jobs run, and more may not. End one with process kill:", maxJobs)}
	for _, id := range slices.Sorted(maps.Keys(js.running)) {
		lines = append(lines, js.running[id].begun.line(now))
	}
	return strings.Join(lines, "\n")
}

// room is full for those who have not started anything yet.
func (js *jobs) room() (problem string) {
	js.mu.Lock()
	defer js.mu.Unlock()
	return js.full()
}

// adopt makes a job of a command, of whose output so much was seen. The problem
// says why it is none; the command still runs then.
func (js *jobs) adopt(ctx context.Context, begun Job, command *started, seen int64) (problem string) {
	begun.Status = JobRunning
	j := &job{begun: begun, command: command, done: make(chan struct{})}
	js.mu.Lock()
	if problem = js.full(); problem != "" {
		js.mu.Unlock()
		return problem
	}
	js.running[begun.ID] = j
	js.onJobs(len(js.running))
	js.seen[begun.ID] = seen
	js.wg.Add(1)
	js.mu.Unlock()
	command.running.Keep()
	// The model is told of the job only when it would be found after a crash.
	if err := js.put(ctx, j.record(savedTail)); err != nil {
		js.log.Warn("job was not recorded", "job", begun.ID, "error", err)
		js.mu.Lock()
		delete(js.running, begun.ID)
		js.onJobs(len(js.running))
		delete(js.seen, begun.ID)
		js.mu.Unlock()
		j.final = j.begun
		j.final.Status, j.final.Ending, j.final.Ended = JobKilled, "stopped", time.Now()
		close(j.done) // somebody may have found it already
		js.wg.Done()
		return "It could not be recorded as a background job: " + err.Error() + "."
	}
	go js.watch(context.WithoutCancel(ctx), j)
	return ""
}

// put records a job, whatever has become of ctx.
func (js *jobs) put(ctx context.Context, record Job) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return js.records.PutJob(ctx, record)
}

// watch keeps the record of a job up to date until its end.
func (js *jobs) watch(ctx context.Context, j *job) {
	defer js.wg.Done()
	ended := j.command.running.Done()
	pause := time.NewTicker(saveEvery)
	defer pause.Stop()
	for {
		select {
		case <-ended:
			js.end(ctx, j)
			return
		case <-j.command.output.changed:
		}
		if err := js.put(ctx, j.record(savedTail)); err != nil {
			js.log.Warn("output of job was not recorded", "job", j.begun.ID, "error", err)
		}
		select {
		case <-ended:
		case <-pause.C:
		}
	}
}

// end records how a job ended.
func (js *jobs) end(ctx context.Context, j *job) {
	out := j.command.end()
	j.command.release()
	record := j.record(maxTail)
	record.Status, record.Ended = JobEnded, time.Now()
	if record.Ending = out.Ending(); record.Ending == "" {
		record.Ending = "exit code 0"
	}
	js.mu.Lock()
	if out.Cancelled {
		record.Status, record.Ending = JobKilled, j.killed
	}
	js.mu.Unlock()
	err := js.put(ctx, record)
	js.mu.Lock()
	defer js.mu.Unlock()
	delete(js.running, record.ID)
	js.onJobs(len(js.running))
	if err != nil {
		js.log.Error("end of job was not recorded", "job", record.ID, "error", err)
		if len(js.unsaved) == keptJobs {
			clear(js.unsaved)
		}
		js.unsaved[record.ID] = record
	}
	j.final = record
	close(j.done)
}

// stop ends a job. It does not wait.
func (js *jobs) stop(j *job, by string) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if j.killed == "" {
		j.killed = by
	}
	j.command.running.Stop()
}

// close ends all jobs and records that.
func (js *jobs) close() {
	js.mu.Lock()
	js.closed = true
	all := slices.Collect(maps.Values(js.running))
	js.mu.Unlock()
	for _, j := range all {
		js.stop(j, "killed when the agent stopped")
	}
	js.wg.Wait()
}
