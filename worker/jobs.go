package worker

import (
	"context"

	"hermes/worker/store"
	"hermes/worker/tools"
)

// jobs keeps the records of background jobs in the profile's database.
type jobs struct{ store *store.Store }

var _ tools.JobRecords = jobs{}

// PutJob records a job, or what has become of it.
func (j jobs) PutJob(ctx context.Context, job tools.Job) error {
	return j.store.PutJob(ctx, store.Job{
		ID: job.ID, SessionID: job.SessionID, RunID: job.RunID,
		Command: job.Command, Dir: job.Dir, Terminal: job.Terminal,
		Status: string(job.Status), Ending: job.Ending,
		Received: job.Received, Lines: job.Lines, File: job.File, Output: job.Output,
		Began: job.Began, Ended: job.Ended,
	})
}

// Jobs lists the jobs that are kept, the newest first.
func (j jobs) Jobs(ctx context.Context) ([]tools.Job, error) {
	rows, err := j.store.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]tools.Job, 0, len(rows))
	for _, row := range rows {
		all = append(all, asJob(row))
	}
	return all, nil
}

// Job returns one with its output.
func (j jobs) Job(ctx context.Context, id string) (tools.Job, error) {
	row, err := j.store.Job(ctx, id)
	return asJob(row), err
}

// asJob is a row as the tools know it.
func asJob(row store.Job) tools.Job {
	return tools.Job{
		ID: row.ID, SessionID: row.SessionID, RunID: row.RunID,
		Command: row.Command, Dir: row.Dir, Terminal: row.Terminal,
		Status: tools.JobStatus(row.Status), Ending: row.Ending,
		Received: row.Received, Lines: row.Lines, File: row.File, Output: row.Output,
		Began: row.Began, Ended: row.Ended,
	}
}
