package llm

import (
	"errors"
	"fmt"
	"time"
)

// Class sorts upstream failures by what can be done about them.
type Class string

// The classes of failure. RateLimit, Overloaded, and Network may pass by
// themselves; the others will not.
const (
	RateLimit     Class = "rate_limit"
	Overloaded    Class = "overloaded" // 5xx, and the provider saying that it is busy
	Network       Class = "network"    // refused, reset, timed out, cut mid-answer
	Auth          Class = "auth"
	Billing       Class = "billing"
	Quota         Class = "quota" // the profile's own tokens of the day are used up
	Overflow      Class = "context_overflow"
	BadRequest    Class = "bad_request"
	ContentFilter Class = "content_filter"
	Empty         Class = "empty"     // an answer without text and tool calls
	NoModel       Class = "no_model"  // nothing is configured or found
	Malformed     Class = "malformed" // the upstream broke its own protocol
)

// Error is a failed call of a model.
type Error struct {
	Class Class
	// Upstream names the client that failed, where there are several.
	Upstream string
	Status   int    // HTTP status, 0 when there was none
	Code     string // the provider's own code, if it gave one
	// Message says what went wrong, in the provider's words where it gave any.
	// It never holds a key.
	Message string
	// RequestID is the provider's name for the call, which its support asks for.
	RequestID string
	// RetryAfter is how long the provider asked to wait, 0 when it did not.
	RetryAfter time.Duration
	// Limit and Sent are how many tokens the model takes and how many the request
	// had, where a provider that found it too long has said so, else 0.
	Limit, Sent int
	Err         error // the cause, may be nil
}

func (e *Error) Error() string {
	text := e.text()
	if e.Upstream != "" {
		text = e.Upstream + ": " + text
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

func (e *Error) text() string {
	switch {
	case e.Message != "" && e.Status != 0:
		return fmt.Sprintf("model answered %d: %s", e.Status, e.Message)
	case e.Message != "":
		return e.Message
	case e.Err != nil:
		return e.Err.Error()
	default:
		return "model failed: " + string(e.Class)
	}
}

func (e *Error) Unwrap() error { return e.Err }

// Temporary reports whether the same request may succeed a little later.
func (e *Error) Temporary() bool {
	switch e.Class {
	case RateLimit, Overloaded, Network, Empty:
		return true
	default:
		return false
	}
}

// ClassOf returns the class of an *Error in err's chain, or "".
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ""
}
