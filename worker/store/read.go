package store

import (
	"context"
	"fmt"
)

// The columns are named, so that a process of an older version goes on while a
// newer one adds some.
const (
	sessionColumns = `id, source, parent_id, created_at, updated_at`
	runColumns     = `id, session_id, parent_run_id, source, request_id, model, status, error, iterations, awaiting_user, isolation,
		input_tokens, output_tokens, cached_tokens, reasoning_tokens, began_at, ended_at`
	messageColumns = `id, session_id, run_id, role, tool_call_id, text, body, created_at`
)

// Session returns a session, or ErrNotFound.
func (s *Store) Session(ctx context.Context, id string) (Session, error) {
	rows, err := read[sessionRow](ctx, s, "read session", `SELECT `+sessionColumns+` FROM sessions WHERE id = ?`, id)
	if err != nil {
		return Session{}, err
	}
	if len(rows) == 0 {
		return Session{}, fmt.Errorf("read session: %q: %w", id, ErrNotFound)
	}
	return rows[0].value(), nil
}

// Sessions returns the sessions that were used last, at most limit of them, the
// latest first.
func (s *Store) Sessions(ctx context.Context, limit int) ([]Session, error) {
	rows, err := read[sessionRow](ctx, s, "read sessions", `SELECT `+sessionColumns+` FROM sessions ORDER BY updated_at DESC, id DESC LIMIT ?`, limit)
	return values(rows, sessionRow.value), err
}

// Run returns a run, or ErrNotFound.
func (s *Store) Run(ctx context.Context, id string) (Run, error) {
	rows, err := read[runRow](ctx, s, "read run", `SELECT `+runColumns+` FROM runs WHERE id = ?`, id)
	if err != nil {
		return Run{}, err
	}
	if len(rows) == 0 {
		return Run{}, fmt.Errorf("read run: %q: %w", id, ErrNotFound)
	}
	return rows[0].value(), nil
}

// Runs returns the runs of a session in the order in which they began.
func (s *Store) Runs(ctx context.Context, sessionID string) ([]Run, error) {
	rows, err := read[runRow](ctx, s, "read runs", `SELECT `+runColumns+` FROM runs WHERE session_id = ? ORDER BY began_at, rowid`, sessionID)
	return values(rows, runRow.value), err
}

// Messages returns the transcript of a session in the order in which it was
// recorded. Runs that ran at the same time are mixed in it.
func (s *Store) Messages(ctx context.Context, sessionID string) ([]Message, error) {
	rows, err := read[messageRow](ctx, s, "read messages", `SELECT `+messageColumns+` FROM messages WHERE session_id = ? ORDER BY id`, sessionID)
	return values(rows, messageRow.value), err
}

// ToolCalls returns the calls of a run in the order in which they were asked
// for.
func (s *Store) ToolCalls(ctx context.Context, runID string) ([]ToolCall, error) {
	rows, err := read[callRow](ctx, s, "read tool calls", `
		SELECT c.id, c.run_id, c.name, c.arguments, c.message_id, c.position, c.status, c.started_at, c.ended_at, coalesce(m.text, '') AS result
		FROM tool_calls c LEFT JOIN messages m ON m.id = c.result_id
		WHERE c.run_id = ? ORDER BY c.message_id, c.position`, runID)
	return values(rows, callRow.value), err
}

// read runs a query to its end, so that no open rows keep the one connection.
func read[R any](ctx context.Context, s *Store, what, query string, args ...any) ([]R, error) {
	db, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var rows []R
	if err := db.SelectContext(ctx, &rows, query, args...); err != nil {
		return nil, fmt.Errorf("%s: %w", what, s.explain(ctx, err))
	}
	return rows, nil
}

func values[R, V any](rows []R, value func(R) V) []V {
	var all []V
	for _, row := range rows {
		all = append(all, value(row))
	}
	return all
}

// The rows are the exported values with their times as columns hold them.
type (
	sessionRow struct {
		Session
		CreatedAt int64 `db:"created_at"`
		UpdatedAt int64 `db:"updated_at"`
	}
	runRow struct {
		Run
		BeganAt int64 `db:"began_at"`
		EndedAt int64 `db:"ended_at"`
	}
	messageRow struct {
		Message
		CreatedAt int64 `db:"created_at"`
	}
	callRow struct {
		ToolCall
		StartedAt int64 `db:"started_at"`
		EndedAt   int64 `db:"ended_at"`
	}
)

func (r sessionRow) value() Session {
	r.Created, r.Updated = fromMicros(r.CreatedAt), fromMicros(r.UpdatedAt)
	return r.Session
}

func (r runRow) value() Run {
	r.Began, r.Ended = fromMicros(r.BeganAt), fromMicros(r.EndedAt)
	return r.Run
}

func (r messageRow) value() Message {
	r.At = fromMicros(r.CreatedAt)
	return r.Message
}

func (r callRow) value() ToolCall {
	r.Started, r.Ended = fromMicros(r.StartedAt), fromMicros(r.EndedAt)
	return r.ToolCall
}
