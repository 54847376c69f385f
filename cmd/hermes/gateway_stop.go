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
	now bool
}

func newGatewayStopCmd(a *app) *cobra.Command {
	opts := &gatewayStopOptions{app: a}
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Stop the running gateways",
		Long: `Stop every gateway of this home, or with -p the one of that profile, and wait
until it is gone. Running turns are finished first; --now ends them.`,
		Example: "  hermes gateway stop\n  hermes -p alice gateway stop\n  hermes gateway stop --now",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return gatewayStopRun(cmd.Context(), opts) },
	}
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
		return nil, fmt.Errorf("profile %s is served by the gateway for all profiles (pid %d); stop that with: %s, and to leave only %s out when it starts again: %s",
			name, list[0].PID, opts.command("gateway", "stop"), name, opts.command("-p", string(name), "config", "set", "API_SERVER_ENABLED", "false"))
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
