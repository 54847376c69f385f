package api

import (
	"strings"
)

// Settings are what a Server can be told anew while it serves.
type Settings struct {
	// KeySHA256 is the hex digest of the bearer key. Without one, only requests
	// from this machine pass that no foreign web page can have made.
	KeySHA256 string
	// CORSOrigins are the origins whose pages may call the API from a browser.
	CORSOrigins []string
	// MaxConcurrentRuns is how many turns run at once; 0 is 10. Twice as many
	// wait.
	MaxConcurrentRuns int
	// Limits bounds what the profile uses over time.
	Limits Limits
	// OnDisconnect is cancel (or empty), which stops a turn when its client
	// goes, or Detach.
	OnDisconnect string
	// ToolProgress says how a stream shows tools that run: auto (or empty),
	// inline, event, both or off.
	ToolProgress string
}

// settings are Settings with what follows from them.
type settings struct {
	Settings
	key     key
	origins map[string]bool
}

// Apply replaces the settings. They take effect at the next request, all at once;
// what runs goes on as it was begun. Turns that run beyond a lower limit are
// finished.
func (s *Server) Apply(next Settings) {
	if next.MaxConcurrentRuns <= 0 {
		next.MaxConcurrentRuns = defaultRuns
	}
	now := &settings{Settings: next, key: newKey(next.KeySHA256), origins: make(map[string]bool, len(next.CORSOrigins))}
	for _, origin := range next.CORSOrigins {
		now.origins[strings.TrimSuffix(origin, "/")] = true
	}
	s.limits.apply(next.Limits)
	s.now.Store(now)
	s.gate.resize(next.MaxConcurrentRuns)
}
