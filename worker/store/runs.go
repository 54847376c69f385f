package store

import (
	"context"
	"fmt"
	"time"
)

// BeginRun records a run with the message that it answers, and its session when
// that is new. The run is StatusRunning from then on. It fails with ErrExists
// when there is a run of that id.
func (s *Store) BeginRun(ctx context.Context, session Session, run Run, input Message) error {
	began := s.at(run.Began)
	return s.tx(ctx, "begin run", outliveProcess, len(input.Body), func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO sessions (id, source, parent_id, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET updated_at = max(updated_at, excluded.updated_at)`,
			session.ID, session.Source, session.ParentID, micros(began), micros(began))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO runs (id, session_id, parent_run_id, source, request_id, model, status, owner, began_at, history)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce(?, x''))`,
			run.ID, session.ID, run.ParentID, run.Source, run.RequestID, run.Model, StatusRunning, s.owner, micros(began), []byte(run.History))
		if isTaken(err) {
			return fmt.Errorf("run %q: %w", run.ID, ErrExists)
		}
		if err != nil {
			return err
		}
		input.SessionID, input.RunID, input.Role = session.ID, run.ID, RoleUser
		_, err = s.addMessage(ctx, tx, input)
		return err
	})
}

// AppendAssistant records a message of the model and the calls that it asks for,
// in the order in which it asks. The calls are CallPending from then on. It
// fails with ErrExists when the run has a call of one of those ids.
func (s *Store) AppendAssistant(ctx context.Context, runID string, message Message, calls []ToolCall) error {
	size := len(message.Body)
	for _, call := range calls {
		size += len(call.Arguments)
	}
	return s.tx(ctx, "append message", outliveProcess, size, func(tx *transaction) error {
		session, err := sessionOf(ctx, tx, runID)
		if err != nil {
			return err
		}
		message.SessionID, message.RunID, message.Role = session, runID, RoleAssistant
		id, err := s.addMessage(ctx, tx, message)
		if err != nil {
			return err
		}
		for i, call := range calls {
			_, err := tx.ExecContext(ctx, `
				INSERT INTO tool_calls (run_id, id, message_id, position, name, arguments, status) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				runID, call.ID, id, i, call.Name, call.Arguments, CallPending)
			if isTaken(err) {
				return fmt.Errorf("tool call %q of run %q: %w", call.ID, runID, ErrExists)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// StartTool records that a call begins. Call it before the tool can have any
// effect: when it returns, the record outlives the machine.
func (s *Store) StartTool(ctx context.Context, runID, callID string, at time.Time) error {
	return s.tx(ctx, "start tool call", outliveMachine, 0, func(tx *transaction) error {
		return onCall(ctx, tx, runID, callID, `
			UPDATE tool_calls SET status = ?, started_at = ? WHERE run_id = ? AND id = ? AND status = ?`,
			CallRunning, micros(s.at(at)), runID, callID, CallPending)
	})
}

// FinishTool records the result of a call, and the tool message that tells the
// model of it. A call may be finished without having been started.
func (s *Store) FinishTool(ctx context.Context, runID, callID string, result ToolResult) error {
	status := CallDone
	if result.Failed {
		status = CallFailed
	}
	ended := s.at(result.At)
	return s.tx(ctx, "finish tool call", outliveProcess, len(result.Text), func(tx *transaction) error {
		session, err := sessionOf(ctx, tx, runID)
		if err != nil {
			return err
		}
		message := Message{SessionID: session, RunID: runID, Role: RoleTool, ToolCallID: callID, Text: result.Text, At: ended}
		id, err := s.addMessage(ctx, tx, message)
		if err != nil {
			return err
		}
		return onCall(ctx, tx, runID, callID, `
			UPDATE tool_calls SET status = ?, ended_at = ?, result_id = ? WHERE run_id = ? AND id = ? AND result_id IS NULL`,
			status, micros(ended), id, runID, callID)
	})
}

// EndRun records how a run ended, with the message that ended it unless final is
// nil. Calls of the run that have no result by then get the result Interrupted. A
// run ends once; a second time is ErrEnded.
func (s *Store) EndRun(ctx context.Context, runID string, end End, final *Message) error {
	size := len(end.Error)
	if final != nil {
		size += len(final.Body)
	}
	ended := s.at(end.At)
	return s.tx(ctx, "end run", outliveProcess, size, func(tx *transaction) error {
		session, err := sessionOf(ctx, tx, runID)
		if err != nil {
			return err
		}
		if err := s.settleCalls(ctx, tx, runID, session, ended); err != nil {
			return err
		}
		if final != nil {
			message := *final
			message.SessionID, message.RunID, message.Role = session, runID, RoleAssistant
			if _, err := s.addMessage(ctx, tx, message); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE runs SET status = ?, error = ?, iterations = ?, awaiting_user = ?, isolation = ?, ended_at = ?,
				input_tokens = ?, output_tokens = ?, cached_tokens = ?, reasoning_tokens = ?
			WHERE id = ?`,
			end.Status, end.Error, end.Iterations, end.AwaitingUser, end.Isolation, micros(ended),
			end.Usage.Input, end.Usage.Output, end.Usage.Cached, end.Usage.Reasoning, runID)
		return err
	})
}

// sessionOf returns the session of a run that is still running.
func sessionOf(ctx context.Context, tx *transaction, runID string) (string, error) {
	var run Run
	err := tx.GetContext(ctx, &run, `SELECT session_id, status FROM runs WHERE id = ?`, runID)
	if err != nil {
		return "", fmt.Errorf("run %q: %w", runID, absent(err))
	}
	if run.Status != StatusRunning {
		return "", fmt.Errorf("run %q is %s: %w", runID, run.Status, ErrEnded)
	}
	return run.SessionID, nil
}

// onCall runs an update of one call, and says why when it does not apply.
func onCall(ctx context.Context, tx *transaction, runID, callID, update string, args ...any) error {
	result, err := tx.ExecContext(ctx, update, args...)
	if err != nil {
		return err
	}
	if changed, err := result.RowsAffected(); err != nil || changed == 1 {
		return err
	}
	var status string
	if err := tx.GetContext(ctx, &status, `SELECT status FROM tool_calls WHERE run_id = ? AND id = ?`, runID, callID); err != nil {
		return fmt.Errorf("tool call %q of run %q: %w", callID, runID, absent(err))
	}
	return fmt.Errorf("tool call %q of run %q is %s: %w", callID, runID, status, ErrEnded)
}

// addMessage appends to a transcript and returns the message's id.
func (s *Store) addMessage(ctx context.Context, tx *transaction, m Message) (int64, error) {
	result, err := tx.ExecContext(ctx, `
		INSERT INTO messages (session_id, run_id, role, tool_call_id, text, body, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		m.SessionID, m.RunID, m.Role, m.ToolCallID, m.Text, m.Body, micros(s.at(m.At)))
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// at is the given time, or now when it is zero.
func (s *Store) at(t time.Time) time.Time {
	if t.IsZero() {
		return s.opts.Now()
	}
	return t
}
