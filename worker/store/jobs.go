package store

import (
	"context"
	"fmt"
	"time"
)

// What a job can be.
const (
	JobRunning = "running"
	JobEnded   = "ended"
	JobKilled  = "killed"
	JobLost    = "lost" // its process died, and the job with it
)

// keptJobs is how many jobs are kept that run no more, the newest.
const keptJobs = 64

// Job is a command that runs in the background, whatever becomes of the run that
// started it.
type Job struct {
	ID        string `db:"id"`
	SessionID string `db:"session_id"`
	RunID     string `db:"run_id"`
	Command   string `db:"command"`
	Dir       string `db:"dir"`
	// Terminal says that it has one, which can be typed into.
	Terminal bool   `db:"terminal"`
	Status   string `db:"status"`
	// Ending says in words how it ended.
	Ending string `db:"ending"`
	// Received and Lines count the bytes and line feeds that it has written, File
	// names the file that holds them, if there is one, and Output is the last of
	// them.
	Received int64  `db:"received"`
	Lines    int64  `db:"lines"`
	File     string `db:"file"`
	Output   string `db:"output"`
	// Began is when it began, Ended when it ended or was found lost; zero while it
	// runs.
	Began time.Time `db:"-"`
	Ended time.Time `db:"-"`
}

// PutJob records a job: a new one, or what has become of it. Of those that run no
// more the newest 64 are kept.
func (s *Store) PutJob(ctx context.Context, job Job) error {
	return s.tx(ctx, "put job", outliveProcess, len(job.Output), func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO jobs (id, session_id, run_id, command, dir, terminal, status, ending, received, lines, file, owner, began_at, ended_at, output)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET status = excluded.status, ending = excluded.ending, received = excluded.received,
				lines = excluded.lines, file = excluded.file, ended_at = excluded.ended_at, output = excluded.output`,
			job.ID, job.SessionID, job.RunID, job.Command, job.Dir, job.Terminal, job.Status, job.Ending,
			job.Received, job.Lines, job.File, s.owner, micros(s.at(job.Began)), micros(job.Ended), job.Output)
		if err != nil || job.Status == JobRunning {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			DELETE FROM jobs WHERE id IN (
				SELECT id FROM jobs WHERE status <> 'running' ORDER BY ended_at DESC, rowid DESC LIMIT -1 OFFSET ?)`, keptJobs)
		return err
	})
}

const jobColumns = `id, session_id, run_id, command, dir, terminal, status, ending, received, lines, file, began_at, ended_at`

// Jobs returns all jobs that are kept, the newest first, without their Output.
func (s *Store) Jobs(ctx context.Context) ([]Job, error) {
	rows, err := read[jobRow](ctx, s, "read jobs", `SELECT `+jobColumns+` FROM jobs ORDER BY began_at DESC, rowid DESC`)
	return values(rows, jobRow.value), err
}

// Job returns a job with its Output, or ErrNotFound.
func (s *Store) Job(ctx context.Context, id string) (Job, error) {
	rows, err := read[jobRow](ctx, s, "read job", `SELECT `+jobColumns+`, output FROM jobs WHERE id = ?`, id)
	if err != nil {
		return Job{}, err
	}
	if len(rows) == 0 {
		return Job{}, fmt.Errorf("read job: %q: %w", id, ErrNotFound)
	}
	return rows[0].value(), nil
}

// settleJobs ends the jobs of dead processes: whoever follows such a process has
// seen to it that nothing of them is left.
func settleJobs(ctx context.Context, tx *transaction, owners string, now time.Time) (int64, error) {
	settled, err := tx.ExecContext(ctx, `
		UPDATE jobs SET status = ?, ending = ?, ended_at = ?
		WHERE status = 'running' AND owner IN (SELECT value FROM json_each(?))`,
		JobLost, "lost: the agent's process died, and the job with it", micros(now), owners)
	if err != nil {
		return 0, err
	}
	return settled.RowsAffected()
}

// jobRow is a Job with its times as columns hold them.
type jobRow struct {
	Job
	BeganAt int64 `db:"began_at"`
	EndedAt int64 `db:"ended_at"`
}

func (r jobRow) value() Job {
	r.Began, r.Ended = fromMicros(r.BeganAt), fromMicros(r.EndedAt)
	return r.Job
}
