package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"hermes/worker/openai"
)

// canonical makes one path of the many that clients send. Some append /v1 to a
// base URL that has it, some are given one without; slashes double where base
// URL and path meet.
func canonical(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		path := u.Path
		for strings.Contains(path, "//") {
			path = strings.ReplaceAll(path, "//", "/")
		}
		for range 2 {
			if rest, ok := strings.CutPrefix(path, "/v1"); ok && (rest == "" || rest[0] == '/') {
				path = rest
			}
		}
		u.Path, u.RawPath = "/"+strings.Trim(path, "/"), ""
		return next(c)
	}
}

// about answers GET / for people who open the address in a browser.
func (s *Server) about(c echo.Context) error {
	base := ""
	if s.opts.Address != "" {
		base = " Base URL: http://" + s.opts.Address + "/v1."
	}
	return c.String(http.StatusOK, fmt.Sprintf("hermes: the OpenAI-compatible API of one private agent.%s\n", base))
}

// noEndpoint is the answer to paths that do not exist.
func noEndpoint(r *http.Request) *failure {
	return refused(http.StatusNotFound, openai.TypeInvalidRequest, codeNotFound,
		"There is no %s here. This server has GET /v1/models, POST /v1/chat/completions, POST /v1/responses and GET /health.", shortPath(r))
}
