package supervisor

import (
	"fmt"

	"hermes/profiles"
)

// NotEnabledError is returned by Run when there is nothing to serve.
type NotEnabledError struct {
	// Profile is the profile whose API server is not enabled, or empty if the
	// gateway was to serve all and none is.
	Profile profiles.Name
}

func (e *NotEnabledError) Error() string {
	if e.Profile == "" {
		return "no profile's API server is enabled"
	}
	return fmt.Sprintf("the API server of profile %s is not enabled", e.Profile)
}

// HeldError is returned by Run when another gateway serves what this one was to
// serve.
type HeldError struct {
	// Profile is what is served already, or empty if the gateway was to serve all
	// and another one does.
	Profile profiles.Name
	// PID is the other gateway's, 0 if it cannot be told.
	PID int
}

func (e *HeldError) Error() string {
	what := "this home is already served by a gateway for all profiles"
	if e.Profile != "" {
		what = fmt.Sprintf("profile %s is already served by a gateway", e.Profile)
	}
	if e.PID == 0 {
		return what + "; stop it first with: hermes gateway stop"
	}
	return fmt.Sprintf("%s with pid %d; stop that one first with: hermes gateway stop", what, e.PID)
}

// SettingsError is returned by Run when the one profile that the gateway was to
// serve has settings that do not validate.
type SettingsError struct {
	Profile profiles.Name
	Err     error // names file, line and key of each finding
}

func (e *SettingsError) Error() string {
	return fmt.Sprintf("profile %s cannot be served: %v", e.Profile, e.Err)
}

func (e *SettingsError) Unwrap() error { return e.Err }

// ExposedError is returned by Run when the one profile that the gateway was to serve
// cannot be kept apart from another one, and nobody has accepted that.
type ExposedError struct {
	Profile profiles.Name
	Reason  string
}

func (e *ExposedError) Error() string {
	return fmt.Sprintf("profile %s is not served: %s", e.Profile, e.Reason)
}
