package worker

import (
	"context"

	"hermes/worker/agent"
	"hermes/worker/store"
)

// prompts keeps the prompts of sessions in the profile's database, so that a
// session has the same one after a restart.
type prompts struct{ store *store.Store }

var _ agent.Prompts = prompts{}

// SessionPrompt returns the prompt of a session, and keeps a fresh one if it has
// none. Those that were not used for longest give way to it.
func (p prompts) SessionPrompt(ctx context.Context, sessionID string, fresh func() string) (string, error) {
	prompt, found, err := p.store.SessionPrompt(ctx, sessionID)
	if err != nil || found {
		return prompt, err
	}
	return p.store.PutSessionPrompt(ctx, sessionID, fresh(), store.PromptLimits{})
}
