package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

const (
	// keptDecisions is how many decisions to run are kept, and how many not to run:
	// however much an agent runs, what it was denied stays for as long.
	keptDecisions = 10_000
	// trimDecisions is after how many decisions those beyond that are removed.
	trimDecisions = 100
)

// Decision is what was decided about one command before it ran.
type Decision struct {
	// ID orders the decisions. It is set by the store.
	ID     int64  `db:"id"`
	RunID  string `db:"run_id"`
	CallID string `db:"call_id"`
	Tool   string `db:"tool"`
	// Command is what was to run, as its writer cut and cleaned it.
	Command string `db:"command"`
	Denied  bool   `db:"denied"`
	// Class, Rule and Setting say why; each may be "".
	Class   string `db:"class"`
	Rule    string `db:"rule"`
	Setting string `db:"setting"`
	// At is when it was decided; zero means now.
	At time.Time `db:"-"`
}

// AddDecision records a decision. Call it before the command can have any effect:
// when it returns, the record outlives the process. It does not wait for the disk
// a second time, as StartTool has done so for the call that it belongs to. Of many
// decisions the oldest are removed.
func (s *Store) AddDecision(ctx context.Context, d Decision) error {
	return s.tx(ctx, "add decision", outliveProcess, len(d.Command), func(tx *transaction) error {
		result, err := tx.ExecContext(ctx, `
			INSERT INTO decisions (run_id, call_id, tool, command, denied, class, rule, setting, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			d.RunID, d.CallID, d.Tool, d.Command, d.Denied, d.Class, d.Rule, d.Setting, micros(s.at(d.At)))
		if err != nil {
			return err
		}
		id, err := result.LastInsertId()
		if err != nil || id%trimDecisions != 0 {
			return err
		}
		for _, denied := range []bool{false, true} {
			_, err := tx.ExecContext(ctx, `
				DELETE FROM decisions WHERE id IN (SELECT id FROM decisions WHERE denied = ? ORDER BY id DESC LIMIT -1 OFFSET ?)`,
				denied, keptDecisions)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type decisionRow struct {
	Decision
	AtMicros int64 `db:"at"`
}

func (r decisionRow) value() Decision {
	r.At = fromMicros(r.AtMicros)
	return r.Decision
}

// ReadDecisions returns the last decisions in the database at path, at most limit
// of them, the latest last. It needs no Store and changes nothing, so that a
// person can read them beside a worker that runs. There are none in a database
// that does not exist, or that no worker of this version has opened.
func ReadDecisions(ctx context.Context, path string, limit int) (_ []Decision, err error) {
	db, err := openReader(ctx, path, readOnlyDSN(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	defer func() {
		if closed := db.Close(); err == nil && closed != nil {
			err = fmt.Errorf("read decisions: %w", closed)
		}
	}()
	var known bool
	if err := db.GetContext(ctx, &known, `SELECT count(*) > 0 FROM sqlite_schema WHERE type = 'table' AND name = 'decisions'`); err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	if !known {
		return nil, nil
	}
	var rows []decisionRow
	err = db.SelectContext(ctx, &rows, `
		SELECT id, run_id, call_id, tool, command, denied, class, rule, setting, at FROM (SELECT * FROM decisions ORDER BY id DESC LIMIT ?) ORDER BY id`, limit)
	if err != nil {
		return nil, fmt.Errorf("read decisions: %w", err)
	}
	return values(rows, decisionRow.value), nil
}
