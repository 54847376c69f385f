package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// What a response can be. The first two are in flight: a Store is at work on
// them, and they are never evicted. The others have ended, and stay as they are.
const (
	ResponseQueued     = "queued"
	ResponseInProgress = "in_progress"
	ResponseCompleted  = "completed"
	ResponseFailed     = "failed"
	ResponseIncomplete = "incomplete"
	ResponseCancelled  = "cancelled"
)

const (
	// DefaultKeep is how many responses are kept when Put.Keep does not say.
	DefaultKeep = 100
	// defaultKeepBytes is how much they may take together when Put.KeepBytes does not
	// say: a few with images take more than thousands without.
	defaultKeepBytes = 256 << 20
	// countFrom is how large a response must be for all of them to be counted.
	countFrom = 64 << 10
)

// Response is an answer of the stateful API.
type Response struct {
	ID string `db:"id"`
	// PreviousID is the response that this one follows, if any.
	PreviousID string `db:"previous_id"`
	// Conversation is the name of the conversation that it is part of, if any.
	Conversation string `db:"conversation"`
	// RunID is the run that makes the response. What is kept of that run is given
	// to Options.SettleResponse when its process dies.
	RunID      string `db:"run_id"`
	Status     string `db:"status"`
	Background bool   `db:"background"`
	// Instructions are in force for this response, and for those that follow it
	// unless they bring others: that is its writer's business.
	Instructions string `db:"instructions"`
	// Body is the object as a client gets it.
	Body []byte `db:"body"`
	// Outline is what its stream was like, for whoever wrote it.
	Outline []byte `db:"outline"`
	// Input is what the client sent. Only InputItems gives it back.
	Input []byte `db:"input"`
	// Transcript is what this turn adds to the history that a model is given, the
	// client's input included. Only Chain gives it back.
	Transcript []byte `db:"transcript"`
	// Request is what its writer needs to go on with it after a crash; Resumes is how
	// often that was done before, set by the store. Only Adopted gives them back.
	Request []byte `db:"request"`
	Resumes int    `db:"resumes"`
	// Created is when the response was made; zero means now.
	Created time.Time `db:"-"`
}

// InFlight says whether the response has not ended yet.
func (r Response) InFlight() bool {
	return r.Status == ResponseQueued || r.Status == ResponseInProgress
}

// Put says what else PutResponse does.
type Put struct {
	// Keep is how many responses may be stored; zero means DefaultKeep.
	Keep int
	// KeepBytes is how many bytes they may have together, with what each adds to the
	// history; zero means 256 MiB. The newest one is kept whatever it has. It is looked
	// after when a response of 64 KiB or more is put.
	KeepBytes int64
	// Update says that the response was put before. If it was deleted since then,
	// it is not brought back: the error is ErrNotFound.
	Update bool
	// Head makes the response the head of its conversation. That fails with
	// ErrConflict when another response became the head since this one's
	// PreviousID was: put it again with the new head as its PreviousID.
	Head bool
	// Finish ends an idempotent request with this response.
	Finish *Finish
}

// PutResponse stores a response, or brings a stored one that is in flight up to
// date: then fields that are zero leave what is stored, and Background never
// changes. A response that has ended is ErrEnded. Storing counts as use, and in
// the same transaction the least recently used ones beyond put.Keep go.
//
// Put a response when its turn begins, in flight, and again when it ends: from
// the first moment on its history stays whole, whatever is evicted or deleted
// meanwhile, and after a crash it is settled instead of lost. A PreviousID that
// is not stored is ErrNotFound, one that is in flight itself ErrInFlight.
//
// When it returns, a response that has ended, or runs in the background,
// outlives the machine.
func (s *Store) PutResponse(ctx context.Context, r Response, put Put) error {
	p := outliveMachine
	if r.InFlight() && !r.Background {
		p = outliveProcess
	}
	size := len(r.Body) + len(r.Outline) + len(r.Input) + len(r.Transcript)
	if put.Finish != nil {
		size += len(put.Finish.Answer.Body)
	}
	return s.tx(ctx, "put response", p, size, func(tx *transaction) error {
		if err := s.storeResponse(ctx, tx, r, put.Update); err != nil {
			return err
		}
		if put.Head {
			if err := advance(ctx, tx, r.ID); err != nil {
				return err
			}
		}
		if err := evict(ctx, tx, put, size); err != nil {
			return err
		}
		if put.Finish != nil {
			return s.finishIdempotent(ctx, tx, *put.Finish)
		}
		return nil
	})
}

// storeResponse writes the rows of one response.
func (s *Store) storeResponse(ctx context.Context, tx *transaction, r Response, update bool) error {
	var old struct {
		TurnID     int64  `db:"turn_id"`
		PreviousID string `db:"previous_id"`
		Status     string `db:"status"`
	}
	err := tx.GetContext(ctx, &old, `SELECT turn_id, previous_id, status FROM responses WHERE id = ?`, r.ID)
	isNew := errors.Is(err, sql.ErrNoRows)
	switch {
	case isNew && update:
		return fmt.Errorf("response %q: %w", r.ID, ErrNotFound)
	case isNew:
		return s.insertResponse(ctx, tx, r)
	case err != nil:
		return err
	case !(Response{Status: old.Status}).InFlight():
		return fmt.Errorf("response %q is %s: %w", r.ID, old.Status, ErrEnded)
	}
	if r.PreviousID != "" && r.PreviousID != old.PreviousID {
		parent, err := turnOf(ctx, tx, r.PreviousID)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE turns SET parent_id = ? WHERE id = ?`, parent, old.TurnID); err != nil {
			return err
		}
	}
	return updateResponse(ctx, tx, old.TurnID, r)
}

func (s *Store) insertResponse(ctx context.Context, tx *transaction, r Response) error {
	var parent *int64
	if r.PreviousID != "" {
		var err error
		if parent, err = turnOf(ctx, tx, r.PreviousID); err != nil {
			return err
		}
	}
	inserted, err := tx.ExecContext(ctx, `
		INSERT INTO turns (parent_id, transcript) VALUES (?, coalesce(?, x''))`, parent, r.Transcript)
	if err != nil {
		return err
	}
	turn, err := inserted.LastInsertId()
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO responses (turn_id, id, previous_id, conversation, run_id, status, background, owner, used, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT coalesce(max(used), 0) + 1 FROM responses), ?)`,
		turn, r.ID, r.PreviousID, r.Conversation, r.RunID, r.Status, r.Background, s.owner, micros(s.at(r.Created)))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO response_bodies (turn_id, instructions, body, outline, input, request)
		VALUES (?, ?, coalesce(?, x''), coalesce(?, x''), coalesce(?, x''), coalesce(?, x''))`,
		turn, r.Instructions, r.Body, r.Outline, r.Input, r.Request)
	return err
}

// updateResponse changes what r sets. The new use keeps a response that took
// long from being evicted by its own end.
func updateResponse(ctx context.Context, tx *transaction, turn int64, r Response) error {
	_, err := tx.ExecContext(ctx, `
		UPDATE responses SET status = ?,
			previous_id = coalesce(nullif(?, ''), previous_id),
			conversation = coalesce(nullif(?, ''), conversation),
			run_id = coalesce(nullif(?, ''), run_id),
			used = (SELECT max(used) + 1 FROM responses)
		WHERE turn_id = ?`,
		r.Status, r.PreviousID, r.Conversation, r.RunID, turn)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		UPDATE response_bodies SET instructions = coalesce(nullif(?, ''), instructions), body = coalesce(?, body),
			outline = coalesce(?, outline), input = coalesce(?, input)
		WHERE turn_id = ?`,
		r.Instructions, r.Body, r.Outline, r.Input, turn)
	if err == nil && !r.InFlight() { // there is nothing to go on with any more
		_, err = tx.ExecContext(ctx, `UPDATE response_bodies SET request = x'' WHERE turn_id = ? AND request <> x''`, turn)
	}
	if err != nil || r.Transcript == nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE turns SET transcript = ? WHERE id = ?`, r.Transcript, turn)
	return err
}

// evict removes the least recently used responses beyond what is to be kept. Size is
// that of the newest.
func evict(ctx context.Context, tx *transaction, put Put, size int) error {
	_, err := removeResponses(ctx, tx, `
		DELETE FROM responses WHERE turn_id IN (
			SELECT turn_id FROM responses WHERE status NOT IN ('queued', 'in_progress')
			ORDER BY used LIMIT max(0, (SELECT count(*) FROM responses) - ?))
		RETURNING turn_id, conversation`, cmp.Or(max(put.Keep, 0), DefaultKeep))
	if err != nil || size < countFrom {
		return err
	}
	_, err = removeResponses(ctx, tx, `
		DELETE FROM responses WHERE turn_id IN (
			SELECT turn_id FROM (
				SELECT r.turn_id, r.status, row_number() OVER latest AS number,
					sum(length(b.body) + length(b.outline) + length(b.input) + length(b.request) + length(t.transcript)) OVER latest AS bytes
				FROM responses r JOIN response_bodies b ON b.turn_id = r.turn_id JOIN turns t ON t.id = r.turn_id
				WINDOW latest AS (ORDER BY r.used DESC ROWS UNBOUNDED PRECEDING))
			WHERE bytes > ? AND number > 1 AND status NOT IN ('queued', 'in_progress'))
		RETURNING turn_id, conversation`, cmp.Or(max(put.KeepBytes, 0), defaultKeepBytes))
	return err
}

// removeResponses runs a DELETE that returns turn_id and conversation of what it
// deletes, removes what nothing refers to any more, and says how many it were.
func removeResponses(ctx context.Context, tx *transaction, query string, args ...any) (int, error) {
	var gone []struct {
		TurnID       int64  `db:"turn_id"`
		Conversation string `db:"conversation"`
	}
	if err := tx.SelectContext(ctx, &gone, query, args...); err != nil {
		return 0, err
	}
	for _, r := range gone {
		if err := prune(ctx, tx, r.TurnID); err != nil {
			return 0, err
		}
		if err := forgetConversation(ctx, tx, r.Conversation); err != nil {
			return 0, err
		}
	}
	return len(gone), nil
}

// Response returns a stored response without its Input and its Transcript, or
// ErrNotFound. It counts as use. A response that a dead process left in flight
// is settled first: see Options.Recover.
func (s *Store) Response(ctx context.Context, id string) (Response, error) {
	row, err := s.readResponse(ctx, id, "b.body, b.outline, b.instructions")
	if err != nil || !row.InFlight() || row.Owner == s.owner {
		return row.value(), err
	}
	settled, err := s.settleAbandoned(ctx)
	if err != nil {
		return Response{}, fmt.Errorf("read response: %w", err)
	}
	if settled {
		row, err = s.readResponse(ctx, id, "b.body, b.outline, b.instructions")
	}
	return row.value(), err
}

// InputItems returns the Input of a stored response, or ErrNotFound. It counts
// as use.
func (s *Store) InputItems(ctx context.Context, id string) ([]byte, error) {
	row, err := s.readResponse(ctx, id, "b.input")
	return row.Input, err
}

// readResponse reads a response with some of its wide columns.
func (s *Store) readResponse(ctx context.Context, id, columns string) (responseRow, error) {
	rows, err := read[responseRow](ctx, s, "read response", `
		SELECT r.id, r.previous_id, r.conversation, r.run_id, r.status, r.background, r.owner, r.used, r.created_at,
			r.used = (SELECT max(used) FROM responses) AS latest, `+columns+`
		FROM responses r JOIN response_bodies b ON b.turn_id = r.turn_id WHERE r.id = ?`, id)
	if err != nil {
		return responseRow{}, err
	}
	if len(rows) == 0 {
		return responseRow{}, fmt.Errorf("read response: %q: %w", id, ErrNotFound)
	}
	if !rows[0].Latest {
		var u uses
		u.add(id, rows[0].Used)
		s.use(ctx, "responses", u)
	}
	return rows[0], nil
}

// DeleteResponse removes a response, or says ErrNotFound. Responses that descend
// from it keep their whole history. One that is in flight goes too; the end of
// its turn is then put with Put.Update, so that it stays gone. When it returns,
// the deletion outlives the machine.
func (s *Store) DeleteResponse(ctx context.Context, id string) error {
	return s.tx(ctx, "delete response", outliveMachine, 0, func(tx *transaction) error {
		removed, err := removeResponses(ctx, tx, `DELETE FROM responses WHERE id = ? RETURNING turn_id, conversation`, id)
		if err == nil && removed == 0 {
			err = fmt.Errorf("response %q: %w", id, ErrNotFound)
		}
		return err
	})
}

// responseRow is a Response as columns hold it.
type responseRow struct {
	Response
	TurnID    int64  `db:"turn_id"`
	Owner     string `db:"owner"`
	Used      int64  `db:"used"`
	Latest    bool   `db:"latest"` // whoever polls has nothing to write down
	CreatedAt int64  `db:"created_at"`
}

func (r responseRow) value() Response {
	r.Created = fromMicros(r.CreatedAt)
	return r.Response
}
