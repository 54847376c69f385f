package worker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"hermes/worker/api"
)

// healthTimeout bounds what a detailed health check may take.
const healthTimeout = 2 * time.Second

// health says how the parts of this worker are.
func (w *worker) health(ctx context.Context) api.Health {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	// First of all: the others may use the time up, and a database that there is none for
	// would look like one that has failed.
	database := w.store.Health(ctx)
	parts := map[string]api.Part{
		"config":    {Status: api.StatusOK, Detail: fmt.Sprintf("generation %d", w.opts.Start.Generation)},
		"database":  {Status: api.StatusOK},
		"limits":    w.limits.health(),
		"isolation": w.isolation(ctx),
	}
	switch {
	case database.Err != nil:
		parts["database"] = api.Part{Status: api.StatusFailed, Detail: database.Err.Error()}
	case len(database.Damaged) > 0:
		parts["database"] = api.Part{
			Status: api.StatusDegraded,
			Detail: "a damaged file was moved aside and a new one begun; what could not be read is kept in " + strings.Join(database.Damaged, ", "),
		}
	}
	if model := w.models.describe(ctx); model.degraded {
		parts["model"] = api.Part{Status: api.StatusDegraded, Detail: "no model: " + model.detail}
	} else {
		parts["model"] = api.Part{Status: api.StatusOK, Detail: model.detail}
	}
	w.mcpHealth(parts)
	return api.Health{Parts: parts}
}
