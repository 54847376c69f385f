package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hermes/worker/store"
)

// damage spoils the first page of a table in a file that nobody has open. Where
// that page is, it looks up in a sound file.
func damage(t *testing.T, path, sound, table string) {
	t.Helper()
	var page, size int64
	db := raw(t, sound)
	must(t, db.QueryRowContext(t.Context(), "SELECT rootpage FROM sqlite_schema WHERE name = ?", table).Scan(&page))
	must(t, db.QueryRowContext(t.Context(), "PRAGMA page_size").Scan(&size))
	must(t, db.Close())
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, int(size)), (page-1)*size)
	must(t, errors.Join(err, file.Close()))
}

// stored leaves a file with a response and a run in it.
func stored(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state.db")
	s := store.Open(path, store.Options{Now: start})
	begin(t, s, "s", "r")
	put(t, s, answered("a", ""), store.Put{})
	must(t, s.Close())
	return path
}

// replaced checks that a new database was begun in place of one that is kept
// under its new name, and that everybody is told.
func replaced(t *testing.T, s *store.Store, path string, log string) (backup string) {
	t.Helper()
	put(t, s, answered("new", ""), store.Put{})
	if gone := missing(t, s, "a", "new"); !slices.Equal(gone, []string{"a"}) {
		t.Errorf("not stored: %v", gone)
	}
	health := s.Health(t.Context())
	want := path + ".damaged-20231114-221320"
	if health.Err != nil || !slices.Equal(health.Damaged, []string{want}) {
		t.Fatalf("health is %+v, want %s", health, want)
	}
	if !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "backup="+want) {
		t.Errorf("the log says %q", log)
	}
	return want
}

func TestGarbageIsMovedAside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	garbage := []byte(strings.Repeat("this is no database\n", 1000))
	write(t, path, garbage, 0o600)
	var log bytes.Buffer
	s := reopen(t, path, store.Options{Recover: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	_, err := s.Sessions(t.Context(), 1)
	must(t, err)
	backup := replaced(t, s, path, log.String())
	if kept, err := os.ReadFile(backup); err != nil || !bytes.Equal(kept, garbage) {
		t.Errorf("what was moved aside has %d bytes (%v)", len(kept), err)
	}
	// A second time in the same second takes another name.
	must(t, s.Close())
	write(t, path, garbage, 0o600)
	s = reopen(t, path, store.Options{Recover: true})
	if health := s.Health(t.Context()); health.Err != nil || !slices.Equal(health.Damaged, []string{backup, backup + "-2"}) {
		t.Errorf("health is %+v", health)
	}
}

func TestDamageIsFoundAfterADeath(t *testing.T) {
	t.Parallel()
	path := stored(t)
	damage(t, path, path, "response_bodies")
	before, err := os.ReadFile(path)
	must(t, err)
	write(t, path+"-open-OFADEADONE", nil, 0o600)
	var log bytes.Buffer
	s := reopen(t, path, store.Options{Recover: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	_, err = s.Sessions(t.Context(), 1)
	must(t, err)
	backup := replaced(t, s, path, log.String())
	if kept, err := os.ReadFile(backup); err != nil || !bytes.Equal(kept, before) {
		t.Errorf("what was moved aside has %d bytes (%v)", len(kept), err)
	}
	if r, err := s.Run(t.Context(), "r"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the new database has run %+v (%v)", r, err)
	}
}

// What was committed last lies in the log alone. It goes where its file goes.
func TestTheLogIsMovedWithItsFile(t *testing.T) {
	t.Parallel()
	live := stored(t)
	s := reopen(t, live, store.Options{})
	put(t, s, answered("logged", ""), store.Put{})
	path := filepath.Join(t.TempDir(), "state.db")
	for _, suffix := range []string{"", "-wal"} { // as a death leaves them
		content, err := os.ReadFile(live + suffix)
		must(t, err)
		write(t, path+suffix, content, 0o600)
	}
	damage(t, path, live, "chat_turn_messages")

	s = reopen(t, path, store.Options{Recover: true})
	health := s.Health(t.Context())
	if health.Err != nil || len(health.Damaged) != 1 {
		t.Fatalf("health is %+v", health)
	}
	var id string
	must(t, raw(t, health.Damaged[0]).QueryRowContext(t.Context(), "SELECT id FROM responses WHERE id = 'logged'").Scan(&id))
	if gone := missing(t, s, "a", "logged"); len(gone) != 2 {
		t.Errorf("the new database began with the log of the old one: not stored are %v", gone)
	}
}

func TestDamageThatIsMetIsLookedForAtTheNextOpening(t *testing.T) {
	t.Parallel()
	path := stored(t)
	damage(t, path, path, "response_bodies")
	s := store.Open(path, store.Options{Recover: true, Now: start})
	_, err := s.Run(t.Context(), "r") // it was closed well, and this part is sound
	must(t, err)
	if _, err := s.Response(t.Context(), "a"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("read of the damaged part: %v", err)
	}
	must(t, s.Close())
	s = reopen(t, path, store.Options{Recover: true})
	if health := s.Health(t.Context()); health.Err != nil || len(health.Damaged) != 1 {
		t.Errorf("health is %+v", health)
	}
}

func TestDamagedFileInUseIsLeftWhereItIs(t *testing.T) {
	t.Parallel()
	path := stored(t)
	other := reopen(t, path, store.Options{})
	_, err := other.Run(t.Context(), "r")
	must(t, err)
	must(t, os.Truncate(path, 4096))
	s := reopen(t, path, store.Options{Recover: true})
	if health := s.Health(t.Context()); !errors.Is(health.Err, store.ErrDamaged) || health.Damaged != nil {
		t.Errorf("health is %+v", health)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Error("it was moved aside")
	}
}

func TestASoundFileIsKeptAfterADeath(t *testing.T) {
	t.Parallel()
	path := stored(t)
	write(t, path+"-open-OFADEADONE", nil, 0o600)
	var log bytes.Buffer
	s := reopen(t, path, store.Options{Recover: true, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if gone := missing(t, s, "a"); gone != nil {
		t.Errorf("lost are %v", gone)
	}
	if health := s.Health(t.Context()); health.Err != nil || health.Damaged != nil {
		t.Errorf("health is %+v", health)
	}
	if !strings.Contains(log.String(), "database was not closed; it is sound") {
		t.Errorf("the log says %q", log.String())
	}
}
