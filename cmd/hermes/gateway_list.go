package main

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hermes/supervisor"
)

type gatewayListOptions struct {
	*app
	json bool
	now  func() time.Time
}

func newGatewayListCmd(a *app) *cobra.Command {
	opts := &gatewayListOptions{app: a, now: time.Now}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the running gateways",
		Example: "  hermes gateway list\n  hermes gateway list --json",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return gatewayListRun(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// gatewayEntry is what a program is told of a running gateway.
type gatewayEntry struct {
	Serves   string    `json:"serves"` // all, or a profile's name
	PID      int       `json:"pid"`
	Version  string    `json:"version"`
	Since    time.Time `json:"since"`
	Stopping bool      `json:"stopping"`
	// NotAnswering says that only the pid and the profiles are known, if those are.
	NotAnswering bool     `json:"not_answering,omitempty"`
	Profiles     []string `json:"profiles"`
}

func gatewayListRun(ctx context.Context, opts *gatewayListOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	list, err := opts.gateways(ctx, home)
	if err != nil {
		return err
	}
	opts.warnHung(list)
	entries := make([]gatewayEntry, 0, len(list))
	t := &table{header: []string{"SERVES", "PID", "SINCE", "PROFILES", "READY", "VERSION"}}
	for _, gateway := range list {
		entry := gatewayEntry{
			Serves: gateway.client.Name(), PID: gateway.PID, Version: gateway.Version,
			Since: gateway.Since, Stopping: gateway.Stopping, Profiles: []string{}, NotAnswering: gateway.hung != nil,
		}
		ready := 0
		for _, status := range gateway.Profiles {
			entry.Profiles = append(entry.Profiles, status.Name)
			if status.State == supervisor.StateReady || status.State == supervisor.StateSleeping {
				ready++
			}
		}
		entries = append(entries, entry)
		counted := strconv.Itoa(ready)
		if entry.NotAnswering {
			counted = string(stateHung)
		}
		t.add(cells(entry.Serves, number(entry.PID), since(opts.now(), entry.Since),
			strconv.Itoa(len(entry.Profiles)), counted, entry.Version)...)
	}
	switch {
	case opts.json:
		return opts.printJSON(entries)
	case len(entries) == 0:
		opts.eprintf("No gateway is running; start one with: %s\n", opts.command("gateway", "--all"))
		return nil
	default:
		opts.printTable(t)
		return nil
	}
}
