package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hermes/worker/store"
)

// newest is the number of the last migration. Each has its own, in order; while
// branches are apart some may be missing.
func newest(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("migrations")
	must(t, err)
	last := 0
	for _, entry := range entries {
		digits, _, _ := strings.Cut(entry.Name(), "_")
		number, err := strconv.Atoi(digits)
		if err != nil || len(digits) != 4 || number <= last {
			t.Errorf("%s should have a number of its own, of four digits", entry.Name())
		}
		last = number
	}
	return last
}

func version(t *testing.T, path string) int {
	t.Helper()
	var number int
	must(t, raw(t, path).QueryRowContext(t.Context(), "PRAGMA user_version").Scan(&number))
	return number
}

func TestMigrationFromNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	write(t, path, nil, 0o600) // an empty file is an empty database
	begin(t, reopen(t, path, store.Options{}), "s", "r")
	if got, want := version(t, path), newest(t); got != want {
		t.Errorf("version is %d, want %d", got, want)
	}
	rows, err := raw(t, path).QueryContext(t.Context(), "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'")
	must(t, err)
	defer rows.Close()
	tables := 0
	for rows.Next() {
		var name string
		var strict bool
		must(t, rows.Scan(&name, &strict))
		if !strict {
			t.Errorf("table %s is not STRICT", name)
		}
		tables++
	}
	must(t, rows.Err())
	if tables < 4 {
		t.Errorf("there are %d tables", tables)
	}
}

func TestMigrationFromTheFirstVersion(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	first, err := os.ReadFile("migrations/0001_records.sql")
	must(t, err)
	db := raw(t, path)
	_, err = db.ExecContext(t.Context(), string(first)+`; PRAGMA user_version = 1;
		INSERT INTO sessions VALUES ('s', 'chat', 1, 1);
		INSERT INTO runs (id, session_id, source, request_id, model, status, began_at) VALUES
			('done', 's', 'chat', '', '', 'done', 1), ('open', 's', 'chat', '', '', 'running', 1);
		INSERT INTO messages (session_id, run_id, role, body, created_at) VALUES ('s', 'done', 'user', CAST('hello' AS BLOB), 1)`)
	must(t, err)
	must(t, db.Close())

	s := reopen(t, path, store.Options{Recover: true})
	if got := transcript(t, s, "s"); len(got) != 1 || got[0] != "user hello" {
		t.Errorf("transcript is %q", got)
	}
	for id, want := range map[string]string{"done": store.StatusDone, "open": store.StatusInterrupted} {
		if run, err := s.Run(t.Context(), id); err != nil || run.Status != want {
			t.Errorf("run %s is %+v (%v)", id, run, err)
		}
	}
	put(t, s, answered("r", ""), store.Put{})
	if got, want := version(t, path), newest(t); got != want || want < 2 {
		t.Errorf("version is %d, want %d", got, want)
	}
}

func TestMigrationByManyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	var wg sync.WaitGroup
	for i := range 8 {
		s := reopen(t, path, store.Options{})
		wg.Go(func() {
			err := s.BeginRun(t.Context(), store.Session{ID: "s"}, store.Run{ID: fmt.Sprint(i)}, store.Message{})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := transcript(t, reopen(t, path, store.Options{}), "s"); len(got) != 8 {
		t.Errorf("%d messages, want 8", len(got))
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	newer := newest(t) + 1
	db := raw(t, path)
	_, err := db.ExecContext(t.Context(), fmt.Sprintf("CREATE TABLE future (x INTEGER) STRICT; PRAGMA user_version = %d", newer))
	must(t, err)
	must(t, db.Close())

	s := reopen(t, path, store.Options{})
	_, err = s.Sessions(t.Context(), 1)
	want := fmt.Sprintf("its tables are of version %d, this one knows %d", newer, newer-1)
	if !errors.Is(err, store.ErrNewer) || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if got := version(t, path); got != newer {
		t.Errorf("version is now %d", got)
	}
}

// A database of the version before decisions were kept gets their table, and
// keeps the rest.
func TestMigrationToDecisions(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	db := raw(t, path)
	files, err := filepath.Glob("migrations/*.sql")
	must(t, err)
	before := 0
	for ; !strings.HasSuffix(files[before], "_policy.sql"); before++ {
		text, err := os.ReadFile(files[before])
		must(t, err)
		_, err = db.ExecContext(t.Context(), string(text))
		must(t, err)
	}
	_, err = db.ExecContext(t.Context(), fmt.Sprintf(`PRAGMA user_version = %d; INSERT INTO sessions VALUES ('s', 'chat', 1, 1)`, before))
	must(t, err)
	must(t, db.Close())

	if got, err := store.ReadDecisions(t.Context(), path, 10); err != nil || len(got) != 0 {
		t.Errorf("before: %+v, %v", got, err)
	}
	if got := version(t, path); got != before {
		t.Errorf("reading has made version %d of it", got)
	}
	s := reopen(t, path, store.Options{})
	must(t, s.AddDecision(t.Context(), store.Decision{Command: "ls"}))
	if _, err := s.Session(t.Context(), "s"); err != nil {
		t.Error(err)
	}
	if got, err := store.ReadDecisions(t.Context(), path, 10); err != nil || len(got) != 1 {
		t.Errorf("after: %+v, %v", got, err)
	}
}
