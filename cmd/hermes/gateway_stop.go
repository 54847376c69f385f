package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"hermes/profiles"
	"hermes/supervisor"
)

type gatewayStopOptions struct {
	*app
	now  bool
	json bool
}

func newGatewayStopCmd(a *app) *cobra.Command {
	opts := &gatewayStopOptions{app: a}
	cmd := &cobra.Command{
		Use:   "stop [NAME...]",
		Short: "Stop the running gateways, or the workers of profiles",
		Long: `Stop every gateway of this home, or with -p the one of that profile, and wait
until it is gone. With names, stop only the workers of these profiles: they stay
stopped until "gateway start NAME" or the next start of the gateway. Running
turns are finished first; --now ends them.`,
		Example: "  hermes gateway stop\n  hermes -p alice gateway stop\n  hermes gateway stop --now\n  hermes gateway stop alice bob",
		Args:    words("[NAME...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return gatewayActRun(cmd.Context(), &gatewayActOptions{
					app: a, action: supervisor.ActionStop, names: args, now: opts.now, json: opts.json,
				})
			}
			return gatewayStopRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeProfiles,
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&opts.now, "now", false, "end running turns instead of waiting for them")
	return cmd
}

func gatewayStopRun(ctx context.Context, opts *gatewayStopOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	list, err := opts.gateways(ctx, home)
	if err != nil {
		return err
	}
	if list, err = opts.chosen(home, list); err != nil {
		return err
	}
	// All are told before any is waited for: stopping takes as long as the slowest.
	stopped := make(chan error, len(list))
	for _, gateway := range list {
		if gateway.hung != nil {
			stopped <- gateway.hung
			continue
		}
		go func() { stopped <- gateway.client.Stop(ctx, supervisor.StopRequest{Now: opts.now}) }()
	}
	end := opts.progress(ctx, func() string { return opts.waitsFor(ctx, list) })
	var failed error
	for range list {
		failed = errors.Join(failed, <-stopped)
	}
	end()
	if opts.json {
		return errors.Join(failed, opts.printStopped(list))
	}
	if failed != nil && !slices.ContainsFunc(list, func(gateway running) bool { return gateway.hung != nil }) {
		return failed
	}
	for _, gateway := range list {
		if gateway.hung != nil {
			continue
		}
		opts.printf("The gateway of %s (pid %d) is stopped.\n", gateway.client.Name(), gateway.PID)
	}
	return failed
}

// stoppedEntry is what a program is told of a gateway that was stopped.
type stoppedEntry struct {
	Serves string `json:"serves"` // all, or a profile's name
	PID    int    `json:"pid"`
}

func (opts *gatewayStopOptions) printStopped(list []running) error {
	entries := make([]stoppedEntry, 0, len(list))
	for _, gateway := range list {
		if gateway.hung == nil {
			entries = append(entries, stoppedEntry{gateway.client.Name(), gateway.PID})
		}
	}
	return opts.printJSON(entries)
}

// chosen is the gateways to stop.
func (opts *gatewayStopOptions) chosen(home profiles.Home, list []running) ([]running, error) {
	name, err := opts.named()
	if err != nil {
		return nil, err
	}
	if name == "" {
		if len(list) == 0 {
			return nil, errors.New("no gateway is running")
		}
		return list, nil
	}
	list = only(list, name)
	if len(list) == 0 {
		// A gateway outlives its profile's directory, so that is looked for last.
		if _, err := home.Get(name); err != nil {
			return nil, err
		}
	}
	own := slices.DeleteFunc(slices.Clone(list), func(gateway running) bool { return gateway.Mode == supervisor.ModeAll })
	switch {
	case len(list) == 0:
		return nil, fmt.Errorf("no running gateway serves profile %s", name)
	case len(own) == 0:
		return nil, fmt.Errorf("profile %s is served by the gateway for all profiles (pid %d); stop that with: %s, or only this profile with: %s",
			name, list[0].PID, opts.command("gateway", "stop"), opts.command("gateway", "stop", string(name)))
	default:
		return own, nil
	}
}

// waitsFor says what is still running in the gateways that are being stopped.
func (opts *gatewayStopOptions) waitsFor(ctx context.Context, list []running) string {
	turns := 0
	for _, gateway := range list {
		if gateway.hung != nil {
			continue
		}
		status, err := gateway.client.Status(ctx)
		if err != nil {
			continue // gone, or as good as
		}
		for _, profile := range status.Profiles {
			turns += profile.Busy
		}
	}
	switch turns {
	case 0:
		return "waiting for the gateway to end"
	case 1:
		return "waiting for 1 turn to finish; end it with: " + opts.command("gateway", "stop", "--now")
	default:
		return fmt.Sprintf("waiting for %d turns to finish; end them with: %s", turns, opts.command("gateway", "stop", "--now"))
	}
}
