package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// internalError is the HTTP status of an answer that nobody will ever know.
const internalError = 500

// Settled is how a response ends whose process died.
type Settled struct {
	// Status is one of those that have ended.
	Status string
	// Body, Outline and Transcript replace what is stored, unless they are nil.
	Body       []byte
	Outline    []byte
	Transcript []byte
	// Head makes it the head of its conversation, if nothing else became that.
	Head bool
}

// settleAbandoned settles what other Stores left in flight that do not live any
// more, and says whether it found something.
func (s *Store) settleAbandoned(ctx context.Context) (bool, error) {
	if !s.opts.Recover {
		return false, nil
	}
	db, err := s.open(ctx)
	if err != nil {
		return false, err
	}
	settled, err := s.settle(ctx, db)
	return settled, s.judge(ctx, err)
}

// settleNeighbours is settleAbandoned for as long as there are other Stores.
func (s *Store) settleNeighbours(ctx context.Context) error {
	s.mu.Lock()
	alone := s.look()
	s.mu.Unlock()
	if _, err := s.settleAbandoned(ctx); err != nil {
		return err
	}
	s.neighbours.Store(!alone)
	return nil
}

// settle ends what dead Stores left behind: see Options.Recover.
func (s *Store) settle(ctx context.Context, db *database) (bool, error) {
	dead, err := s.dead(ctx, db)
	if err != nil || len(dead) == 0 {
		return false, err
	}
	owners, err := json.Marshal(dead)
	if err != nil {
		return false, err
	}
	var runs, responses, claims int
	var adopted []Adopted
	var jobs int64
	err = transact(ctx, db, outliveMachine, func(tx *transaction) error {
		now := s.opts.Now()
		if runs, err = s.settleRuns(ctx, tx, string(owners), now); err != nil {
			return err
		}
		if responses, adopted, err = s.settleResponses(ctx, tx, string(owners)); err != nil {
			return err
		}
		if claims, err = s.settleClaims(ctx, tx, string(owners), now); err != nil {
			return err
		}
		jobs, err = settleJobs(ctx, tx, string(owners), now)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("settle interrupted runs: %w", err)
	}
	s.opts.Log.Warn("interrupted runs were settled", "runs", runs, "responses", responses, "adopted", len(adopted), "idempotency_keys", claims, "jobs", jobs)
	if len(adopted) > 0 {
		s.adopting.Lock()
		s.adopted = append(s.adopted, adopted...)
		s.adopting.Unlock()
		s.opts.OnAdopt()
	}
	return true, nil
}

// dead returns the owners of what is in flight that do not live any more.
func (s *Store) dead(ctx context.Context, db *database) ([]string, error) {
	var owners []string
	err := db.SelectContext(ctx, &owners, `
		SELECT owner FROM runs WHERE status = 'running' AND owner <> ?1
		UNION SELECT owner FROM responses WHERE status IN ('queued', 'in_progress') AND owner <> ?1
		UNION SELECT owner FROM idempotency WHERE running AND owner <> ?1
		UNION SELECT owner FROM jobs WHERE status = 'running' AND owner <> ?1`, s.owner)
	return slices.DeleteFunc(owners, s.lives), err
}

// settleRuns ends runs, and answers their calls that have no result.
func (s *Store) settleRuns(ctx context.Context, tx *transaction, owners string, now time.Time) (int, error) {
	var runs []Run
	err := tx.SelectContext(ctx, &runs, `
		SELECT id, session_id FROM runs WHERE status = 'running' AND owner IN (SELECT value FROM json_each(?))`, owners)
	if err != nil {
		return 0, err
	}
	for _, run := range runs {
		if err := s.settleCalls(ctx, tx, run.ID, run.SessionID, now); err != nil {
			return 0, err
		}
		_, err := tx.ExecContext(ctx, `
			UPDATE runs SET status = ?, error = ?, ended_at = ? WHERE id = ?`,
			StatusInterrupted, "its process died", micros(now), run.ID)
		if err != nil {
			return 0, err
		}
	}
	return len(runs), nil
}

// settleCalls answers the run's calls that have no result with Interrupted, in
// the order in which they were asked for.
func (s *Store) settleCalls(ctx context.Context, tx *transaction, runID, sessionID string, at time.Time) error {
	var open []string
	err := tx.SelectContext(ctx, &open, `
		SELECT id FROM tool_calls WHERE run_id = ? AND result_id IS NULL ORDER BY message_id, position`, runID)
	if err != nil {
		return err
	}
	for _, callID := range open {
		message := Message{SessionID: sessionID, RunID: runID, Role: RoleTool, ToolCallID: callID, Text: Interrupted, At: at}
		id, err := s.addMessage(ctx, tx, message)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE tool_calls SET status = ?, ended_at = ?, result_id = ? WHERE run_id = ? AND id = ?`,
			CallInterrupted, micros(at), id, runID, callID)
		if err != nil {
			return err
		}
	}
	return nil
}

// settleResponses ends responses as Options.SettleResponse says, but for those that
// are adopted.
func (s *Store) settleResponses(ctx context.Context, tx *transaction, owners string) (ended int, adopted []Adopted, err error) {
	var rows []responseRow
	err = tx.SelectContext(ctx, &rows, `
		SELECT r.turn_id, r.id, r.previous_id, r.conversation, r.run_id, r.status, r.background, r.created_at, r.resumes,
			b.instructions, b.body, b.outline, b.input, b.request, t.transcript
		FROM responses r JOIN response_bodies b ON b.turn_id = r.turn_id JOIN turns t ON t.id = r.turn_id
		WHERE r.status IN ('queued', 'in_progress') AND r.owner IN (SELECT value FROM json_each(?)) ORDER BY r.turn_id`, owners)
	if err != nil {
		return 0, nil, err
	}
	for _, row := range rows {
		messages, err := runMessages(ctx, tx, row.RunID)
		if err != nil {
			return 0, nil, err
		}
		mine, err := s.adopt(ctx, tx, row, messages)
		if err != nil {
			return 0, nil, err
		}
		if mine != nil {
			adopted = append(adopted, *mine)
			continue
		}
		ended++
		if err := s.settleResponse(ctx, tx, row, messages); err != nil {
			return 0, nil, err
		}
	}
	return ended, adopted, nil
}

func (s *Store) settleResponse(ctx context.Context, tx *transaction, row responseRow, messages []Message) error {
	settled := Settled{Status: ResponseFailed}
	if s.opts.SettleResponse != nil {
		settled = s.opts.SettleResponse(row.value(), messages)
	}
	end := Response{Status: settled.Status, Body: settled.Body, Outline: settled.Outline, Transcript: settled.Transcript}
	if err := updateResponse(ctx, tx, row.TurnID, end); err != nil {
		return err
	}
	if !settled.Head || row.Conversation == "" {
		return nil
	}
	if err := advance(ctx, tx, row.ID); err != nil && !errors.Is(err, ErrConflict) {
		return err
	}
	return nil
}

func runMessages(ctx context.Context, tx *transaction, runID string) ([]Message, error) {
	if runID == "" {
		return nil, nil
	}
	var rows []messageRow
	err := tx.SelectContext(ctx, &rows, `SELECT `+messageColumns+` FROM messages WHERE run_id = ? ORDER BY id`, runID)
	return values(rows, messageRow.value), err
}

// settleClaims frees the keys of requests that had no effect, and answers the
// other ones, which must not run again.
func (s *Store) settleClaims(ctx context.Context, tx *transaction, owners string, now time.Time) (int, error) {
	var claims []struct {
		Claim
		Began bool `db:"began"`
	}
	err := tx.SelectContext(ctx, &claims, `
		SELECT scope, key, body_hash, run_id, response_id, `+toolBegan+` AS began
		FROM idempotency WHERE running AND owner IN (SELECT value FROM json_each(?))`, owners)
	if err != nil {
		return 0, err
	}
	for _, claim := range claims {
		if !claim.Began {
			if _, err := tx.ExecContext(ctx, `DELETE FROM idempotency WHERE scope = ? AND key = ?`, claim.Scope, claim.Key); err != nil {
				return 0, err
			}
			continue
		}
		answer := Answer{Status: internalError}
		if s.opts.SettleAnswer != nil {
			answer = s.opts.SettleAnswer(claim.Claim)
		}
		_, err := tx.ExecContext(ctx, `
			UPDATE idempotency SET running = 0, interrupted = 1, status = ?, content_type = ?, body = coalesce(?, x''), expires_at = ?
			WHERE scope = ? AND key = ?`,
			answer.Status, answer.ContentType, answer.Body, micros(now.Add(IdempotencyTTL)), claim.Scope, claim.Key)
		if err != nil {
			return 0, err
		}
	}
	return len(claims), nil
}
