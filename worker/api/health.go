package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Health says how the parts of a worker are. Names of parts are lower-case:
// config, database, model, isolation.
type Health struct {
	Parts map[string]Part
}

// Part is the state of one part.
type Part struct {
	// Status is StatusOK, StatusDegraded or StatusFailed.
	Status string `json:"status"`
	// Detail says more, in a few words. It holds no secret.
	Detail string `json:"detail,omitempty"`
}

// The states of a part. Degraded works, but not as it should.
const (
	StatusOK       = "ok"
	StatusDegraded = "degraded"
	StatusFailed   = "failed"
)

type healthBody struct {
	Status string          `json:"status"`
	Parts  map[string]Part `json:"parts"`
	Turns  turnsBody       `json:"turns"`
	// Limits holds those that are set.
	Limits limitsBody `json:"limits,omitzero"`
}

type turnsBody struct {
	Running int `json:"running"`
	Waiting int `json:"waiting"`
	Limit   int `json:"limit"`
}

// health answers GET /health without asking anybody: it is called every few
// seconds and says that the server answers, no more.
func (s *Server) health(c echo.Context) error {
	return c.JSONBlob(http.StatusOK, []byte(`{"status":"ok"}`))
}

// healthDetailed answers GET /health/detailed. Its status code is 503 only when
// a part has failed.
func (s *Server) healthDetailed(c echo.Context) error {
	body := healthBody{Status: StatusOK, Parts: map[string]Part{}}
	if s.opts.Health != nil {
		if health := s.opts.Health(c.Request().Context()); health.Parts != nil {
			body.Parts = health.Parts
		}
	}
	for _, part := range body.Parts {
		switch {
		case part.Status == StatusFailed:
			body.Status = StatusFailed
		case part.Status != StatusOK && body.Status == StatusOK:
			body.Status = StatusDegraded
		}
	}
	body.Limits = s.limits.used(c.Request().Context())
	body.Turns.Limit = s.now.Load().MaxConcurrentRuns
	body.Turns.Running, body.Turns.Waiting = s.gate.load()
	code := http.StatusOK
	if body.Status == StatusFailed {
		code = http.StatusServiceUnavailable
	}
	writeJSON(c.Response(), code, body)
	return nil
}
