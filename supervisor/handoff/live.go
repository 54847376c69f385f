package handoff

import (
	"log/slog"
	"reflect"
	"time"
)

// Live is the part of a Start that a child can be told anew while it serves. What
// runs goes on; the next request meets the new settings. Like Start it must not be
// logged.
type Live struct {
	KeySHA256         string        `json:"key_sha256"`
	CORSOrigins       []string      `json:"cors_origins,omitempty"`
	MaxConcurrentRuns int           `json:"max_concurrent_runs"`
	OnDisconnect      string        `json:"on_disconnect"`
	DrainTimeout      time.Duration `json:"drain_timeout"`
	Limits            Limits        `json:"limits"`
	ToolProgress      string        `json:"tool_progress"`
	Redact            []string      `json:"redact,omitempty"`
}

// Live returns what of a Start is live.
func (s Start) Live() Live {
	return Live{
		KeySHA256:         s.API.KeySHA256,
		CORSOrigins:       s.API.CORSOrigins,
		MaxConcurrentRuns: s.API.MaxConcurrentRuns,
		OnDisconnect:      s.API.OnDisconnect,
		DrainTimeout:      s.API.DrainTimeout,
		Limits:            s.Limits,
		ToolProgress:      s.ToolProgress,
		Redact:            s.Redact,
	}
}

// With returns a Start with other live settings.
func (s Start) With(l Live) Start {
	s.API.KeySHA256 = l.KeySHA256
	s.API.CORSOrigins = l.CORSOrigins
	s.API.MaxConcurrentRuns = l.MaxConcurrentRuns
	s.API.OnDisconnect = l.OnDisconnect
	s.API.DrainTimeout = l.DrainTimeout
	s.Limits = l.Limits
	s.ToolProgress = l.ToolProgress
	s.Redact = l.Redact
	return s
}

// Alike reports whether two Starts differ in live settings at most, so that a
// child which was told one need not be replaced for the other.
func (s Start) Alike(other Start) bool {
	return reflect.DeepEqual(s.With(Live{}), other.With(Live{}))
}

// Equal reports whether nothing differs.
func (l Live) Equal(other Live) bool { return reflect.DeepEqual(l, other) }

// String says nothing of what is in it, so that it shows no secret.
func (l Live) String() string { return "live settings" }

// GoString is String.
func (l Live) GoString() string { return l.String() }

// LogValue is String.
func (l Live) LogValue() slog.Value { return slog.StringValue(l.String()) }
