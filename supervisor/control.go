package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// The paths of the control socket.
const (
	pathStatus  = "/v1/status"
	pathStop    = "/v1/stop"
	pathReload  = "/v1/reload"
	pathUpgrade = "/v1/upgrade"
	pathEvents  = "/v1/events"
	pathAction  = "/v1/profiles/{name}/{action}"
	// pathMetrics has no version: it is what scrapers ask for.
	pathMetrics = "/metrics"
)

// StopRequest is the body of a call to stop the gateway.
type StopRequest struct {
	// Now ends running turns instead of waiting for them.
	Now bool `json:"now"`
}

// ActionRequest is the body of a call for an action of one profile.
type ActionRequest struct {
	// Now ends running turns instead of waiting for them.
	Now bool `json:"now"`
	// Wait answers when the action has come to something.
	Wait bool `json:"wait"`
}

// UpgradeRequest is the body of a call to become another program.
type UpgradeRequest struct {
	// Binary is its absolute path; empty is the one that the gateway was started from.
	Binary string `json:"binary"`
}

// failure is the body of an answer that is no success.
type failure struct {
	Error string `json:"error"`
}

// control answers on the control socket.
type control struct {
	status func(context.Context) (Status, error)
	stop   func(now bool)
	reload func(context.Context) ([]Outcome, error)
	act    func(ctx context.Context, name, action string, now, wait bool) (Outcome, error)
	events *events
	// upgrade looks whether an upgrade can be, and returns what does it.
	upgrade func(ctx context.Context, binary string) (status UpgradeStatus, perform func(), err error)
	calls   *calls
	log     *slog.Logger
}

// calls are the connections with a call that has not been answered.
type calls struct{ conns sync.Map }

func (c *calls) track(conn net.Conn, state http.ConnState) {
	if state == http.StateActive {
		c.conns.Store(conn, true)
		return
	}
	c.conns.Delete(conn)
}

// await waits until every call has been answered, but at most limit.
func (c *calls) await(limit time.Duration) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); <-time.After(time.Millisecond) {
		some := false
		c.conns.Range(func(any, any) bool {
			some = true
			return false
		})
		if !some {
			return
		}
	}
}

// server returns the HTTP server of the socket. Every step of a call has a
// deadline: a client that hangs costs a connection, and that not for long.
func (c control) server() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathStatus, c.getStatus)
	mux.HandleFunc("GET "+pathMetrics, c.getMetrics)
	mux.HandleFunc("GET "+pathEvents, c.getEvents)
	mux.HandleFunc("POST "+pathStop, c.postStop)
	mux.HandleFunc("POST "+pathReload, c.postReload)
	mux.HandleFunc("POST "+pathUpgrade, c.postUpgrade)
	mux.HandleFunc("POST "+pathAction, c.postAction)
	return &http.Server{
		Handler:           mux,
		ConnState:         c.calls.track,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelWarn),
	}
}

func (c control) getStatus(w http.ResponseWriter, r *http.Request) {
	status, err := c.status(r.Context())
	if err != nil {
		c.answer(w, http.StatusServiceUnavailable, failure{Error: err.Error()})
		return
	}
	c.answer(w, http.StatusOK, status)
}

func (c control) postStop(w http.ResponseWriter, r *http.Request) {
	var request StopRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&request); err != nil {
		c.answer(w, http.StatusBadRequest, failure{Error: `the body must be a JSON object like {"now": false}`})
		return
	}
	c.stop(request.Now)
	c.answer(w, http.StatusAccepted, request)
}

func (c control) postReload(w http.ResponseWriter, r *http.Request) {
	c.unhurried(w)
	outcomes, err := c.reload(r.Context())
	if err != nil {
		c.answer(w, http.StatusServiceUnavailable, failure{Error: err.Error()})
		return
	}
	c.answer(w, http.StatusOK, outcomes)
}

func (c control) postUpgrade(w http.ResponseWriter, r *http.Request) {
	var request UpgradeRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10)).Decode(&request); err != nil {
		c.answer(w, http.StatusBadRequest, failure{Error: `the body must be a JSON object like {"binary": "/usr/bin/hermes"}`})
		return
	}
	status, perform, err := c.upgrade(r.Context(), request.Binary)
	if err != nil {
		c.answer(w, http.StatusConflict, failure{Error: err.Error()})
		return
	}
	c.answer(w, http.StatusAccepted, status)
	perform()
}

func (c control) postAction(w http.ResponseWriter, r *http.Request) {
	var request ActionRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&request); err != nil {
		c.answer(w, http.StatusBadRequest, failure{Error: `the body must be a JSON object like {"now": false, "wait": true}`})
		return
	}
	c.unhurried(w)
	outcome, err := c.act(r.Context(), r.PathValue("name"), r.PathValue("action"), request.Now, request.Wait)
	switch {
	case errors.Is(err, errUnknown):
		c.answer(w, http.StatusNotFound, failure{Error: err.Error()})
	case errors.Is(err, errStopping), errors.Is(err, errUpgrading):
		c.answer(w, http.StatusServiceUnavailable, failure{Error: err.Error()})
	case err != nil:
		c.answer(w, http.StatusBadRequest, failure{Error: err.Error()})
	default:
		c.answer(w, http.StatusOK, outcome)
	}
}

// unhurried lets an answer take as long as what it waits for: each of those steps
// has a limit of its own, and a client that goes ends the wait.
func (c control) unhurried(w http.ResponseWriter) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		c.log.Debug("answer keeps its deadline", "error", err)
	}
}

func (c control) answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		c.log.Debug("control client has gone", "error", err)
	}
}

// serve answers on ln until shut is called. It never ends the gateway: one that
// cannot be asked still serves its profiles.
func (c control) serve(server *http.Server, ln net.Listener) {
	if err := server.Serve(ownSocket{ln}); !errors.Is(err, http.ErrServerClosed) {
		c.log.Error("control socket is gone", "error", err)
	}
}

// shut gives calls that are being answered a second to end.
func shut(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close() // what it would tell of, nobody can mend any more
	}
}
