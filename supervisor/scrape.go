package supervisor

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"hermes/configs"
)

// rebindAfter is when the address for metrics is tried again that could not be
// had.
const rebindAfter = 10 * time.Second

// scrape answers /metrics over TCP, to those who have the token if there is one.
type scrape struct {
	control

	address string // host:port, empty is nowhere
	token   configs.Secret
}

// server returns the HTTP server, which answers nothing else.
func (s scrape) server() *http.Server {
	server := s.control.server() // for its limits
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathMetrics, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.token.IsZero() && !s.permits(r.Header.Get("Authorization")):
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.answer(w, http.StatusUnauthorized, failure{Error: "send the token as: Authorization: Bearer " + configs.MetricsToken})
		case s.token.IsZero() && !here(r.Host): // a web page whose name leads to this machine
			s.answer(w, http.StatusForbidden, failure{Error: "ask for this address by its number or as localhost"})
		default:
			s.getMetrics(w, r)
		}
	})
	server.Handler = mux
	return server
}

// permits compares a header with the token, in the same time for any difference.
func (s scrape) permits(header string) bool {
	scheme, given, _ := strings.Cut(header, " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(given))), sha256.Sum256([]byte(s.token.Reveal()))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// here reports whether a Host header names this machine.
func here(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	return configs.Loopback(name)
}

// run answers until over is closed. An address that cannot be had is tried again:
// a gateway that nobody can measure still serves its profiles.
func (s scrape) run(ctx context.Context, over <-chan struct{}) {
	if s.address == "" {
		<-over
		return
	}
	// Other findings about the settings would have left this one in effect.
	if host, _, _ := net.SplitHostPort(s.address); s.token.IsZero() && !configs.Loopback(host) {
		s.log.Error("metrics are not served: anything but loopback needs a token in the home's .env", "address", s.address, "token", configs.MetricsToken)
		<-over
		return
	}
	server := s.server()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-over
		shut(ctx, server)
	}()
	defer func() { <-ended }()
	for told := false; ; {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", s.address)
		if err == nil {
			s.log.Info("metrics are served", "url", "http://"+ln.Addr().String()+pathMetrics)
			told = false
			if err = server.Serve(ln); errors.Is(err, http.ErrServerClosed) {
				return
			}
		}
		if !told {
			told = true
			s.log.Warn("metrics are not served; that is tried again", "address", s.address, "error", err)
		}
		select {
		case <-over:
			return
		case <-time.After(rebindAfter):
		}
	}
}
