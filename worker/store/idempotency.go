package store

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// IdempotencyTTL is how long the answer to an idempotent request is kept, from
// the moment on when there is one. While its run goes on, a claim does not
// expire.
const IdempotencyTTL = 5 * time.Minute

// What BeginIdempotent can find.
const (
	ClaimNew      = "new"      // the claim is the caller's: do the work, then finish or forget it
	ClaimRunning  = "running"  // somebody is at work on the same request
	ClaimReplay   = "replay"   // the answer is there
	ClaimConflict = "conflict" // the key was used for another request
)

// Claim is what a request that must not run twice begins with.
type Claim struct {
	// Scope keeps apart keys that may be equal by accident.
	Scope string `db:"scope"`
	Key   string `db:"key"`
	// BodyHash tells requests apart that use the same key.
	BodyHash []byte `db:"body_hash"`
	// RunID is the run that will answer. Whether a tool began in it decides what
	// becomes of the claim when the process dies, or wants to forget it. Without
	// one nobody can tell, and it is as if a tool had begun.
	RunID string `db:"run_id"`
	// ResponseID is the response that the run will make, if any.
	ResponseID string `db:"response_id"`
	// Fresh forgets an answer that is kept for the key, so that the request runs
	// again. One that runs goes on.
	Fresh bool `db:"-"`
	// KeepFailed leaves a failure, an answer with a status of 500 or more, that is
	// younger than this even if the claim is Fresh.
	KeepFailed time.Duration `db:"-"`
}

// Answer is what an idempotent request is answered with, byte for byte.
type Answer struct {
	Status      int    `db:"status"`
	ContentType string `db:"content_type"`
	Body        []byte `db:"body"`
}

// Claimed is what there is for a key.
type Claimed struct {
	// State is what BeginIdempotent found.
	State string `db:"-"`
	// RunID and ResponseID are those of the request that came first.
	RunID      string `db:"run_id"`
	ResponseID string `db:"response_id"`
	// Ours says, of a ClaimRunning, that its run is one of this Store's process.
	Ours bool `db:"-"`
	// Answer is set for a ClaimReplay.
	Answer
	// Interrupted says that the answer stands for one that nobody will ever know,
	// because the process died when a tool had begun.
	Interrupted bool `db:"interrupted"`
}

// Finish ends a claim with the answer to replay.
type Finish struct {
	Scope, Key string
	Answer     Answer
	// Relaxed says that the answer need only outlive the process, not the machine.
	Relaxed bool
}

// BeginIdempotent claims a key for a request. Of many that come at once with the
// same scope and key exactly one gets ClaimNew. It need not be waited for: the
// start of the run's first tool makes it outlive the machine.
func (s *Store) BeginIdempotent(ctx context.Context, c Claim) (Claimed, error) {
	claimed, err := s.beginIdempotent(ctx, c)
	if err != nil || claimed.State != ClaimRunning || claimed.Ours {
		return claimed, err
	}
	settled, err := s.settleAbandoned(ctx)
	if err != nil {
		return Claimed{}, fmt.Errorf("claim idempotency key: %w", err)
	}
	if settled {
		return s.beginIdempotent(ctx, c)
	}
	return claimed, nil
}

func (s *Store) beginIdempotent(ctx context.Context, c Claim) (Claimed, error) {
	var claimed Claimed
	err := s.tx(ctx, "claim idempotency key", outliveProcess, 0, func(tx *transaction) error {
		if err := s.expire(ctx, tx); err != nil {
			return err
		}
		if c.Fresh {
			_, err := tx.ExecContext(ctx, `
				DELETE FROM idempotency WHERE scope = ? AND key = ? AND NOT running AND NOT (status >= 500 AND expires_at > ?)`,
				c.Scope, c.Key, micros(s.opts.Now().Add(IdempotencyTTL-c.KeepFailed)))
			if err != nil {
				return err
			}
		}
		result, err := tx.ExecContext(ctx, `
			INSERT INTO idempotency (scope, key, body_hash, run_id, response_id, owner, running) VALUES (?, ?, coalesce(?, x''), ?, ?, ?, 1)
			ON CONFLICT (scope, key) DO NOTHING`,
			c.Scope, c.Key, c.BodyHash, c.RunID, c.ResponseID, s.owner)
		if err != nil {
			return err
		}
		if added, err := result.RowsAffected(); err != nil || added == 1 {
			claimed = Claimed{State: ClaimNew, RunID: c.RunID, ResponseID: c.ResponseID, Ours: true}
			return err
		}
		var row claimRow
		if err := tx.GetContext(ctx, &row, claimQuery, c.Scope, c.Key); err != nil {
			return err
		}
		claimed = row.value(s.owner)
		if !bytes.Equal(row.BodyHash, c.BodyHash) {
			claimed = Claimed{State: ClaimConflict}
		}
		return nil
	})
	return claimed, err
}

// FinishIdempotent ends a claim: from now on, for IdempotencyTTL, the answer is
// replayed. PutResponse does the same together with what it stores. A claim that
// has an answer is ErrEnded, one that is not there ErrNotFound. When it returns,
// the answer outlives the machine, unless it is Relaxed.
func (s *Store) FinishIdempotent(ctx context.Context, f Finish) error {
	p := outliveMachine
	if f.Relaxed {
		p = outliveProcess
	}
	return s.tx(ctx, "finish idempotent request", p, len(f.Answer.Body), func(tx *transaction) error {
		return s.finishIdempotent(ctx, tx, f)
	})
}

func (s *Store) finishIdempotent(ctx context.Context, tx *transaction, f Finish) error {
	if err := s.expire(ctx, tx); err != nil {
		return err
	}
	result, err := tx.ExecContext(ctx, `
		UPDATE idempotency SET running = 0, status = ?, content_type = ?, body = coalesce(?, x''), expires_at = ?
		WHERE scope = ? AND key = ? AND running`,
		f.Answer.Status, f.Answer.ContentType, f.Answer.Body, micros(s.opts.Now().Add(IdempotencyTTL)), f.Scope, f.Key)
	if err != nil {
		return err
	}
	if changed, err := result.RowsAffected(); err != nil || changed == 1 {
		return err
	}
	var there int
	if err := tx.GetContext(ctx, &there, `SELECT 1 FROM idempotency WHERE scope = ? AND key = ?`, f.Scope, f.Key); err != nil {
		return fmt.Errorf("idempotency key %q: %w", f.Key, absent(err))
	}
	return fmt.Errorf("idempotency key %q: %w", f.Key, ErrEnded)
}

// ForgetIdempotent frees the key of a request that failed, so that it may be
// tried again, and says whether it did: it does not when a tool has begun in the
// claim's run, or when the claim was ended or is not there.
func (s *Store) ForgetIdempotent(ctx context.Context, scope, key string) (bool, error) {
	freed := false
	err := s.tx(ctx, "forget idempotent request", outliveProcess, 0, func(tx *transaction) error {
		result, err := tx.ExecContext(ctx, `
			DELETE FROM idempotency WHERE scope = ? AND key = ? AND running AND NOT `+toolBegan, scope, key)
		if err != nil {
			return err
		}
		removed, err := result.RowsAffected()
		freed = removed == 1
		return err
	})
	return freed, err
}

// Idempotency returns what there is for a key without claiming it, or
// ErrNotFound. After an ErrIO it tells whether a claim was made or finished.
func (s *Store) Idempotency(ctx context.Context, scope, key string) (Claimed, error) {
	rows, err := read[claimRow](ctx, s, "read idempotency key", claimQuery+` AND (running OR expires_at > ?)`, scope, key, micros(s.opts.Now()))
	if err != nil {
		return Claimed{}, err
	}
	if len(rows) == 0 {
		return Claimed{}, fmt.Errorf("read idempotency key: %q: %w", key, ErrNotFound)
	}
	return rows[0].value(s.owner), nil
}

// expire removes answers that have been kept long enough.
func (s *Store) expire(ctx context.Context, tx *transaction) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM idempotency WHERE expires_at > 0 AND expires_at <= ?`, micros(s.opts.Now()))
	return err
}

const (
	claimQuery = `
		SELECT body_hash, run_id, response_id, owner, running, interrupted, status, content_type, body
		FROM idempotency WHERE scope = ? AND key = ?`
	// toolBegan is whether a tool may have had an effect for a row of idempotency.
	toolBegan = `(run_id = '' OR EXISTS (SELECT 1 FROM tool_calls t WHERE t.run_id = idempotency.run_id AND t.started_at > 0))`
)

// claimRow is a Claimed as columns hold it.
type claimRow struct {
	Claimed
	BodyHash []byte `db:"body_hash"`
	Owner    string `db:"owner"`
	Running  bool   `db:"running"`
}

func (r claimRow) value(owner string) Claimed {
	r.State = ClaimReplay
	if r.Running {
		r.State, r.Ours = ClaimRunning, r.Owner == owner
	}
	return r.Claimed
}
