package handoff

import (
	"bytes"
	"encoding/json"
	"log/slog"
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
	OrphanGrace       time.Duration `json:"orphan_grace,omitempty"`
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
		OrphanGrace:       s.OrphanGrace,
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
	s.OrphanGrace = l.OrphanGrace
	return s
}

// Alike reports whether two Starts differ in live settings at most, so that a
// child which was told one need not be replaced for the other.
func (s Start) Alike(other Start) bool {
	s.Orphan, other.Orphan = Orphan{}, Orphan{} // which is between parent and child
	s.Isolation = s.Isolation.Like(other.Isolation)
	return same(s.With(Live{}), other.With(Live{}))
}

// Equal reports whether nothing differs.
func (l Live) Equal(other Live) bool { return same(l, other) }

// same compares what would be sent: one that has come as a message has no list where
// the other one's is empty.
func same(a, b any) bool {
	first, err := json.Marshal(a)
	if err != nil {
		return false
	}
	second, err := json.Marshal(b)
	return err == nil && bytes.Equal(first, second)
}

// String says nothing of what is in it, so that it shows no secret.
func (l Live) String() string { return "live settings" }

// GoString is String.
func (l Live) GoString() string { return l.String() }

// LogValue is String.
func (l Live) LogValue() slog.Value { return slog.StringValue(l.String()) }
