package worker

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox/wall"
	"hermes/worker/api"
	"hermes/worker/store"
)

// A try of the wall may take longer than a check of the health does: it is no reason to
// call the database failed, and with it the worker.
func TestHealthDoesNotBlameTheDatabaseForASlowWall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database := store.Open(filepath.Join(dir, "state.db"), store.Options{})
	t.Cleanup(func() { _ = database.Close() })
	w := &worker{
		opts: Options{Start: handoff.Start{}}, store: database, limits: &limits{},
		models: models{describe: func(context.Context) modelState { return modelState{} }},
		wall: wall.New(wall.Options{
			Workspace: dir, Home: dir, Temp: dir, Off: "a test says so",
			Found: func(wall.Report) { <-time.After(healthTimeout + 100*time.Millisecond) },
		}),
	}
	if got := w.health(t.Context()).Parts["database"]; got.Status != api.StatusOK {
		t.Errorf("the database is %+v", got)
	}
}
