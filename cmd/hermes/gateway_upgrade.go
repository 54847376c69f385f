package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"hermes/supervisor"
)

type gatewayUpgradeOptions struct {
	*app
	binary string
	json   bool
}

func newGatewayUpgradeCmd(a *app) *cobra.Command {
	opts := &gatewayUpgradeOptions{app: a}
	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Have running gateways go on as a new hermes",
		Long: `Have every running gateway begin its program anew, after the file of it was
replaced, or go on as another one. Its pid, its ports, its workers and their open
streams stay. If the program has changed, each worker is replaced when it has
nothing to do, or after supervisor.reload_drain at the latest.

A program that does not run, or cannot take over, is refused, and the gateway goes
on as it is. SIGHUP does the same to a gateway without a terminal.`,
		Example: "  hermes gateway upgrade\n  hermes gateway upgrade --binary /opt/hermes-2/hermes\n  hermes gateway upgrade --json",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return gatewayUpgradeRun(cmd.Context(), opts) },
	}
	cmd.Flags().StringVar(&opts.binary, "binary", "", "go on as the program `FILE`")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// upgradedEntry is what a program is told of a gateway.
type upgradedEntry struct {
	Serves string `json:"serves"` // all, or a profile's name
	PID    int    `json:"pid"`
	From   string `json:"from"`
	To     string `json:"to"`
	// Outdated is how many workers are going to be replaced.
	Outdated int    `json:"outdated"`
	Error    string `json:"error,omitempty"`
}

func gatewayUpgradeRun(ctx context.Context, opts *gatewayUpgradeOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	if opts.binary != "" {
		if opts.binary, err = filepath.Abs(opts.binary); err != nil {
			return err
		}
	}
	list, err := opts.gateways(ctx, home)
	if err != nil {
		return err
	}
	name, err := opts.named()
	if err != nil {
		return err
	}
	if name != "" {
		list = only(list, name)
	}
	if len(list) == 0 {
		return fmt.Errorf("no gateway is running; start one with: %s", opts.command("gateway", "--all"))
	}
	end := opts.progress(ctx, func() string { return "waiting for the gateway to go on as the new program" })
	defer end()
	entries := make([]upgradedEntry, 0, len(list))
	var failed error
	for _, gateway := range list {
		entry, err := upgrade(ctx, gateway, opts.binary)
		failed = errors.Join(failed, err)
		entries = append(entries, entry)
	}
	end()
	if opts.json {
		return errors.Join(failed, opts.printJSON(entries))
	}
	for _, e := range entries {
		if e.Error == "" {
			opts.printf("The gateway of %s (pid %d) goes on as %s, before %s; %s.\n", e.Serves, e.PID, e.To, e.From, replaced(e.Outdated))
		}
	}
	return failed
}

func upgrade(ctx context.Context, gateway running, binary string) (upgradedEntry, error) {
	entry := upgradedEntry{Serves: gateway.client.Name(), PID: gateway.PID, From: gateway.Version}
	err := gateway.hung
	var after supervisor.Status
	if err == nil {
		_, after, err = gateway.client.Upgrade(ctx, binary)
	}
	if err != nil {
		entry.Error = err.Error()
		return entry, err
	}
	entry.To = after.Version
	for _, p := range after.Profiles {
		if p.Outdated {
			entry.Outdated++
		}
	}
	return entry, nil
}

func replaced(workers int) string {
	switch workers {
	case 0:
		return "no worker has to be replaced"
	case 1:
		return "1 worker is replaced when it has nothing to do"
	default:
		return fmt.Sprintf("%d workers are replaced when they have nothing to do", workers)
	}
}
