package worker

import (
	"hermes/supervisor/handoff"
	"hermes/worker/api"
)

// apply takes over settings that the supervisor sends while the worker serves.
func (w *worker) apply(live handoff.Live) {
	w.redact.set(live.Redact)
	w.server.Apply(settingsOf(live))
	w.drain.Store(int64(live.DrainTimeout))
	w.opts.Log.Info("settings taken over")
}

// settingsOf is what of live settings concerns the API.
func settingsOf(live handoff.Live) api.Settings {
	return api.Settings{
		KeySHA256:         live.KeySHA256,
		CORSOrigins:       live.CORSOrigins,
		MaxConcurrentRuns: live.MaxConcurrentRuns,
		Limits:            api.Limits{TurnsPerMinute: live.Limits.TurnsPerMinute, TokensPerDay: live.Limits.TokensPerDay},
		OnDisconnect:      live.OnDisconnect,
		ToolProgress:      live.ToolProgress,
	}
}
