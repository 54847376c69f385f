package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"hermes/worker/openai"
)

const (
	corsMethods = "GET, POST, DELETE, OPTIONS"
	// corsHeaders is what a page may send when its preflight does not say.
	corsHeaders = "Authorization, Content-Type, Idempotency-Key"
	// corsExposed are the headers of ours that a page may read.
	corsExposed = "X-Request-Id, Retry-After, X-Should-Retry, Idempotency-Replayed"
	// corsMaxAge is how long a browser may remember a preflight, in seconds.
	corsMaxAge = "600"
	// maxCORSHeaders bounds the list of headers that a preflight gets back.
	maxCORSHeaders = 4096
)

// crossOrigin answers browsers. Without an allow-list it does nothing: no
// header, and the browser keeps foreign pages away from the answer. With one,
// pages of exactly these origins may use the API, and all others are refused
// before anything happens. Its headers are set before the request goes on, so
// that errors and streams carry them too; otherwise a page could not read them.
func (s *Server) crossOrigin(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		origins := s.now.Load().origins
		if len(origins) == 0 {
			return next(c)
		}
		r, h := c.Request(), c.Response().Header()
		h.Add("Vary", "Origin")
		sent := r.Header.Values("Origin")
		if len(sent) == 0 {
			return next(c)
		}
		origin := sent[0]
		if len(sent) > 1 || !origins[origin] {
			if len(sent) == 1 && sameOrigin(origin, r.Host) && loopbackHost(r.Host) {
				return next(c)
			}
			return refused(http.StatusForbidden, openai.TypePermission, codeForbidden,
				"Pages of this origin may not use this server. Add it to API_SERVER_CORS_ORIGINS, exactly as the browser sends it, to allow them.")
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", corsExposed)
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			return next(c)
		}
		asked := r.Header.Get("Access-Control-Request-Headers")
		if asked == "" || len(asked) > maxCORSHeaders {
			asked = corsHeaders
		}
		h.Set("Access-Control-Allow-Methods", corsMethods)
		h.Set("Access-Control-Allow-Headers", asked)
		h.Set("Access-Control-Max-Age", corsMaxAge)
		return c.NoContent(http.StatusNoContent)
	}
}
