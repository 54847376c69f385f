package tools

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// JobStatus is what has become of a job.
type JobStatus string

// What a job can be.
const (
	JobRunning JobStatus = "running"
	JobEnded   JobStatus = "ended"
	JobKilled  JobStatus = "killed" // by the process tool, or with the worker
	JobLost    JobStatus = "lost"   // its worker died
)

// Job is the record of a command that runs in the background, or did.
type Job struct {
	ID        string
	SessionID string // of the turn that started it
	RunID     string
	Command   string
	Dir       string
	Terminal  bool // it can be typed into
	Status    JobStatus
	// Ending says in words how it ended.
	Ending string
	// Received and Lines count the bytes and the line feeds of its output. File is
	// where all of it lies, below the workspace, if it is long; Output is the end
	// of it.
	Received int64
	Lines    int64
	File     string
	Output   string
	Began    time.Time
	Ended    time.Time // zero while it runs
}

// JobRecords keeps the records of jobs, so that what became of them is known when
// the process that ran them is not there any more.
type JobRecords interface {
	// PutJob records a job: a new one, or what has become of it.
	PutJob(ctx context.Context, job Job) error
	// Jobs returns all jobs that are kept, the newest first, without their Output.
	Jobs(ctx context.Context) ([]Job, error)
	// Job returns one with its Output.
	Job(ctx context.Context, id string) (Job, error)
}

// line describes the job in one line.
func (j Job) line(now time.Time) string {
	return j.ID + "  " + j.state(now) + "  " + shorten(firstLine(j.Command))
}

// state says what the job does, or how it ended.
func (j Job) state(now time.Time) string {
	switch j.Status {
	case JobRunning:
		return "running for " + duration(now.Sub(j.Began))
	case JobLost:
		return j.Ending
	default:
		return j.Ending + " after " + duration(j.Ended.Sub(j.Began))
	}
}

// duration is d as it is read best.
func duration(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// memoryJobs are JobRecords that end with the process.
type memoryJobs struct {
	mu   sync.Mutex // guards jobs
	jobs map[string]Job
}

// keptJobs is how many jobs memoryJobs keeps that run no more.
const keptJobs = 64

var errNoJob = errors.New("there is no such job")

func (m *memoryJobs) PutJob(_ context.Context, job Job) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.jobs == nil {
		m.jobs = make(map[string]Job)
	}
	m.jobs[job.ID] = job
	ended := 0
	for _, job := range m.sorted() {
		if job.Status == JobRunning {
			continue
		}
		if ended++; ended > keptJobs {
			delete(m.jobs, job.ID)
		}
	}
	return nil
}

func (m *memoryJobs) Jobs(context.Context) ([]Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sorted(), nil
}

func (m *memoryJobs) Job(_ context.Context, id string) (Job, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	job, ok := m.jobs[id]
	if !ok {
		return Job{}, errNoJob
	}
	return job, nil
}

// sorted lists the jobs, the newest first. The caller holds mu.
func (m *memoryJobs) sorted() []Job {
	jobs := make([]Job, 0, len(m.jobs))
	for _, job := range m.jobs {
		jobs = append(jobs, job)
	}
	slices.SortFunc(jobs, func(a, b Job) int {
		return cmp.Or(b.Began.Compare(a.Began), strings.Compare(a.ID, b.ID))
	})
	return jobs
}
