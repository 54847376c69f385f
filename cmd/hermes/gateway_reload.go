package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hermes/profiles"
	"hermes/supervisor"
)

type gatewayReloadOptions struct {
	*app
	json bool
}

func newGatewayReloadCmd(a *app) *cobra.Command {
	opts := &gatewayReloadOptions{app: a}
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have changed settings taken over, and wait for it",
		Long: `Have every running gateway look at its profiles and their settings at once, and
wait until each profile is as they say. A gateway does so by itself within a
second; this command says when it is done, and what went wrong. No request is
dropped and no running turn is cut. What had failed before is tried again.

The exit code is 1 if a profile could not be brought to its settings.`,
		Example: "  hermes gateway reload\n  hermes gateway reload --json",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return gatewayReloadRun(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func gatewayReloadRun(ctx context.Context, opts *gatewayReloadOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	name, err := opts.named()
	if err != nil {
		return err
	}
	list, err := opts.gateways(ctx, home)
	if err != nil {
		return err
	}
	if name != "" {
		list = only(list, name)
	}
	if len(list) == 0 {
		return fmt.Errorf("no gateway is running; start one with: %s", opts.command("gateway", "--all"))
	}
	end := opts.progress(ctx, func() string { return "waiting for the profiles" })
	defer end()
	var outcomes []supervisor.Outcome
	for _, gateway := range list {
		if gateway.hung != nil {
			return gateway.hung
		}
		found, err := gateway.client.Reload(ctx)
		if err != nil {
			return err
		}
		outcomes = append(outcomes, found...)
	}
	if name != "" {
		outcomes = slices.DeleteFunc(outcomes, func(o supervisor.Outcome) bool { return o.Name != string(name) })
	}
	end()
	return opts.outcomes(outcomes, opts.json)
}

// outcomes prints what has come of a command, and returns an error if that is not
// what was wanted.
func (a *app) outcomes(outcomes []supervisor.Outcome, asJSON bool) error {
	failed := slices.ContainsFunc(outcomes, func(o supervisor.Outcome) bool { return o.Failed })
	if asJSON {
		if err := a.printJSON(outcomes); err != nil {
			return err
		}
	} else {
		t := &table{header: []string{"PROFILE", "STATE", "PID", "REASON"}}
		for _, o := range outcomes {
			row := cells(o.Name, string(o.State), number(o.PID), o.Reason)
			row[1].style = stateStyle(o.State)
			t.add(row...)
		}
		a.printTable(t)
	}
	if failed {
		return silent(exitFailure)
	}
	return nil
}

// gatewayActOptions are those of start, stop and restart of profiles.
type gatewayActOptions struct {
	*app
	action string
	names  []string
	now    bool
	json   bool
}

func newGatewayStartCmd(a *app) *cobra.Command {
	opts := &gatewayActOptions{app: a, action: supervisor.ActionStart}
	cmd := &cobra.Command{
		Use:   "start NAME...",
		Short: "Start the workers of profiles in the running gateway",
		Long: `Start the workers of profiles that the running gateway has: of ones that were
stopped, that sleep until their first connection, or that have failed. It does
not wait for the next try that is due. A gateway is started with "gateway".`,
		Example:           "  hermes gateway start alice\n  hermes gateway start alice bob --json",
		Args:              words("NAME..."),
		RunE:              opts.run,
		ValidArgsFunction: a.completeProfiles,
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func newGatewayRestartCmd(a *app) *cobra.Command {
	opts := &gatewayActOptions{app: a, action: supervisor.ActionRestart}
	cmd := &cobra.Command{
		Use:   "restart [NAME...]",
		Short: "Replace the workers of profiles, or of all",
		Long: `Start new workers of the named profiles, or of all that the running gateways
have. Each takes over when it is ready, and the one before it finishes what it
has begun; --now ends that. If a new worker does not become ready, the old one
stays.`,
		Example:           "  hermes gateway restart\n  hermes gateway restart alice\n  hermes gateway restart alice --now",
		Args:              words("[NAME...]"),
		RunE:              opts.run,
		ValidArgsFunction: a.completeProfiles,
	}
	cmd.Flags().BoolVar(&opts.now, "now", false, "end the turns of the workers that are replaced")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func (opts *gatewayActOptions) run(cmd *cobra.Command, args []string) error {
	opts.names = args
	return gatewayActRun(cmd.Context(), opts)
}

func gatewayActRun(ctx context.Context, opts *gatewayActOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	list, err := opts.gateways(ctx, home)
	if err != nil {
		return err
	}
	targets, err := opts.targets(home, list)
	if err != nil {
		return err
	}
	// Side by side: all of them take as long as the slowest.
	type result struct {
		at      int
		outcome supervisor.Outcome
		err     error
	}
	results := make(chan result, len(targets))
	for i, t := range targets {
		go func() {
			outcome, err := t.gateway.client.Act(ctx, t.name, opts.action, supervisor.ActionRequest{Now: opts.now, Wait: true})
			if err != nil {
				err = fmt.Errorf("%s of profile %s: %w", opts.action, t.name, err)
			}
			results <- result{i, outcome, err}
		}()
	}
	end := opts.progress(ctx, func() string { return "waiting for the profiles" })
	outcomes := make([]supervisor.Outcome, len(targets))
	var failed error
	for range targets {
		r := <-results
		outcomes[r.at] = r.outcome
		failed = errors.Join(failed, r.err)
	}
	end()
	if failed != nil {
		return failed
	}
	return opts.outcomes(outcomes, opts.json)
}

// target is a profile of a running gateway.
type target struct {
	name    string
	gateway running
}

// targets finds the gateways of the named profiles, or all that run.
func (opts *gatewayActOptions) targets(home profiles.Home, list []running) ([]target, error) {
	names := slices.Clone(opts.names)
	named, err := opts.named()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && named != "" {
		names = []string{string(named)}
	}
	var targets []target
	for _, gateway := range list {
		if gateway.hung != nil {
			return nil, gateway.hung
		}
		for _, status := range gateway.Profiles {
			if len(names) == 0 && status.PID != 0 || slices.Contains(names, status.Name) {
				targets = append(targets, target{status.Name, gateway})
			}
		}
	}
	for _, arg := range names {
		name, err := parseName("NAME", arg)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(targets, func(t target) bool { return t.name == string(name) }) {
			continue
		}
		if _, err := home.Get(name); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("no running gateway serves profile %s; start one with: %s", name, opts.commandFor(name, "gateway"))
	}
	switch {
	case len(names) == 0 && opts.action == supervisor.ActionStart:
		return nil, usagef("name the profiles to start: %s", strings.Join([]string{opts.command("gateway", "start"), "NAME"}, " "))
	case len(list) == 0:
		return nil, fmt.Errorf("no gateway is running; start one with: %s", opts.command("gateway", "--all"))
	}
	return targets, nil
}
