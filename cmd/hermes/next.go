package main

import (
	"context"

	"hermes/configs"
	"hermes/profiles"
)

// printConnection prints what to paste into a frontend.
func (a *app) printConnection(created profiles.Created, server configs.APIServer) {
	key := created.Key.Reveal()
	switch {
	case server.Key.IsZero():
		key = "none: only programs on this machine may connect"
	case key == "":
		key = "the one that was there; print it with: " + a.commandFor(created.Profile.Name, "config", "get", "API_SERVER_KEY", "--reveal")
	}
	a.printf("Paste into Open WebUI (Admin Settings > Connections > OpenAI API > +) or any client:\n")
	a.printf("  URL    %s\n  Key    %s\n  Model  %s\n", baseURL(server), key, server.ModelName)
	if !created.Key.IsZero() {
		a.printf("The key is shown this once. Later: %s\n",
			a.commandFor(created.Profile.Name, "config", "get", "API_SERVER_KEY", "--reveal"))
	}
}

// nextSteps prints what leads from a new profile to a first answer.
func (a *app) nextSteps(ctx context.Context, home profiles.Home, name profiles.Name, disabled bool) {
	type step struct{ command, purpose string }
	var steps []step
	if disabled {
		steps = append(steps, step{a.commandFor(name, "config", "set", "API_SERVER_ENABLED", "true"), "let it be served"})
	}
	if gateway, ok := a.gatewayForAll(ctx, home); ok {
		a.printf("  (the gateway with pid %d serves every enabled profile already)\n", gateway.PID)
	} else if name == profiles.Default {
		steps = append(steps, step{a.commandFor(name, "gateway"), "serve it"})
	} else {
		steps = append(steps, step{a.command("gateway", "--all"), "serve every enabled profile"})
	}
	steps = append(steps, step{a.commandFor(name, "chat", "hello"), "talk to it, from another terminal"})
	width := 0
	for _, s := range steps {
		width = max(width, len(s.command))
	}
	for _, s := range steps {
		a.printf("  %-*s  # %s\n", width, s.command, s.purpose)
	}
}
