package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"hermes/worker/openai"
)

// failure is an answer that is no success. It is the error that handlers return.
type failure struct {
	status int
	body   openai.Error
	// retryAfter is sent as Retry-After, in seconds, if it is not 0: at most a
	// minute, as SDKs give up on longer waits or ignore them, unless final is set.
	retryAfter time.Duration
	// final asks SDKs not to send the request again by themselves.
	final bool
	// cause is for the log; the client does not see it.
	cause error
}

func (f *failure) Error() string {
	if f.cause != nil {
		return fmt.Sprintf("%s: %v", f.body.Message, f.cause)
	}
	return f.body.Message
}

func (f *failure) Unwrap() error { return f.cause }

// The codes of errors that clients may want to tell apart.
const (
	codeInvalidKey    = "invalid_api_key"
	codeInvalidJSON   = "invalid_json"
	codeInvalidValue  = "invalid_value"
	codeUnsupported   = "unsupported_parameter"
	codeContentType   = "unsupported_content_type"
	codeForbidden     = "forbidden_origin"
	codeNotFound      = "not_found"
	codeModelNotFound = "model_not_found"
	codeMethod        = "method_not_allowed"
	codeTooLarge      = "request_too_large"
	codeMediaType     = "unsupported_media_type"
	codeTimeout       = "request_timeout"
	codeRateLimit     = "rate_limit_exceeded"
	codeQuota         = "insufficient_quota"
	codeShuttingDown  = "server_shutting_down"
	codeNoModel       = "no_model"
	codeInternal      = "internal_error"

	codeOverflow         = "context_length_exceeded"
	codePreviousNotFound = "previous_response_not_found"
	codeItemNotFound     = "item_not_found"
	codeInFlight         = "response_in_progress"
	codeNotBackground    = "response_not_background"
	codeElsewhere        = "response_made_elsewhere"
	codeCancelled        = "response_cancelled"
	codeStorage          = "storage_full"
	codeKeyConflict      = "idempotency_key_conflict"
	codeKeyInvalid       = "invalid_idempotency_key"
	codeInterrupted      = "run_interrupted"
)

// invalid makes the failure of a request that a client must change. Param names
// the field, if it is one.
func invalid(param, code, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, body: openai.Error{
		Message: fmt.Sprintf(format, args...), Type: openai.TypeInvalidRequest, Param: param, Code: code,
	}}
}

// refused makes a failure with another status than 400.
func refused(status int, kind, code, format string, args ...any) *failure {
	return &failure{status: status, body: openai.Error{Message: fmt.Sprintf(format, args...), Type: kind, Code: code}}
}

// shuttingDown is the answer to what comes, or still runs, when the server goes.
func shuttingDown() *failure {
	f := refused(http.StatusServiceUnavailable, openai.TypeServer, codeShuttingDown,
		"This server is shutting down or restarting. Try again in a moment.")
	f.retryAfter = 5 * time.Second
	return f
}

// internal is the answer when the fault is ours. What went wrong is told to the
// log only: it may name files.
func internal(cause error) *failure {
	f := refused(http.StatusInternalServerError, openai.TypeServer, codeInternal,
		"Something went wrong inside this server. Its log says what, under the id of this request.")
	f.cause = cause
	return f
}

// answerError is echo's error handler: it writes any error in the one form that
// clients know.
func (s *Server) answerError(err error, c echo.Context) {
	f := s.failureOf(err, c)
	w := c.Response()
	if f.cause != nil {
		s.opts.Log.Error("request failed", "request_id", requestID(c), "error", f.cause)
	}
	h := w.Header()
	if f.retryAfter > 0 {
		wait := f.retryAfter
		if !f.final {
			wait = min(wait, time.Minute)
		}
		h.Set("Retry-After", retryAfter(wait))
	}
	if f.final {
		h.Set("X-Should-Retry", "false")
	}
	if f.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	body := f.body
	body.NoNull = fromAgentSDK(c.Request().Header)
	writeJSON(w, f.status, openai.ErrorBody{Error: body})
}

// failureOf turns what a handler or the router returned into a failure.
func (s *Server) failureOf(err error, c echo.Context) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if field, ok := errors.AsType[*openai.FieldError](err); ok {
		code := codeInvalidValue
		if field.Param == "" {
			code = codeInvalidJSON
		}
		return invalid(field.Param, code, "%s.", upperFirst(field.Error()))
	}
	if h, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch h.Code {
		case http.StatusMethodNotAllowed:
			return refused(h.Code, openai.TypeInvalidRequest, codeMethod, "%s does not take %s. It takes %s.",
				shortPath(c.Request()), c.Request().Method, strings.TrimPrefix(c.Response().Header().Get("Allow"), "OPTIONS, "))
		case http.StatusNotFound:
			return noEndpoint(c.Request())
		}
	}
	return internal(err)
}

// retryAfter writes a wait in whole seconds, rounded up.
func retryAfter(wait time.Duration) string {
	return strconv.Itoa(max(1, int(math.Ceil(wait.Seconds()))))
}

// upperFirst makes a sentence of a phrase, unless the phrase begins with the
// name of a field, which has its own spelling.
func upperFirst(phrase string) string {
	if strings.HasPrefix(phrase, "the ") {
		return "T" + phrase[1:]
	}
	return phrase
}
