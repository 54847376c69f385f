package worker

import (
	"context"
	"path/filepath"
	"strings"

	"hermes/supervisor/handoff"
	"hermes/worker/policy"
	"hermes/worker/store"
	"hermes/worker/tools"
)

// maxLoggedCommand is how much of a command the log of decisions keeps, in bytes.
const maxLoggedCommand = 4096

// PolicyOptions says which commands the agent of a profile may run. The tools
// know workspace and home, and fill them in.
func PolicyOptions(agent handoff.Agent, profileDir string) policy.Options {
	opts := policy.Options{Approvals: agent.Approvals, Allow: agent.Allow, Deny: agent.Deny, Profile: []string{profileDir}}
	if physical, err := filepath.EvalSymlinks(profileDir); err == nil && physical != profileDir {
		opts.Profile = append(opts.Profile, physical) // what pwd prints
	}
	return opts
}

// audit keeps what was decided about a command in the profile's database, without
// secrets.
func audit(s *store.Store, redact func(string) string) func(context.Context, tools.Decision) error {
	return func(ctx context.Context, d tools.Decision) error {
		command := redact(d.Command)
		if len(command) > maxLoggedCommand {
			command = strings.ToValidUTF8(command[:maxLoggedCommand], "") + "…"
		}
		return s.AddDecision(ctx, store.Decision{
			RunID: d.Turn.RunID, CallID: d.CallID, Tool: d.Tool, Command: command,
			Denied: d.Verdict.Denied, Class: string(d.Verdict.Class), Rule: d.Verdict.Rule, Setting: d.Verdict.Setting,
		})
	}
}

// adminName is what an admin calls the profile on the command line.
func adminName(profile string) string {
	if profile == "default" {
		return ""
	}
	return profile
}
