package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hermes/profiles"
	"hermes/supervisor"
)

type gatewayStatusOptions struct {
	*app
	names []string
	json  bool
	check bool
	now   func() time.Time
}

func newGatewayStatusCmd(a *app) *cobra.Command {
	opts := &gatewayStatusOptions{app: a, now: time.Now}
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Say how each served profile stands",
		Long: `Say how each profile of the running gateways stands, and what its workers that
are being replaced still finish. With a name (or -p) it is about that profile
alone: all that is known of it, and the last lines that its last dead worker
wrote. PID, memory and generation are those of the newest worker.

With --check nothing is printed unless something is wrong: the exit code is 0
only when a gateway runs and every profile that it serves is ready, or sleeps
until its first connection.`,
		Example: `  hermes gateway status
  hermes gateway status alice            # all of it, with the last words of a dead worker
  hermes gateway status --json | jq '.[].profiles[] | select(.restarts > 0)'
  hermes gateway status --check          # for health checks`,
		Args: words("[NAME]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.names = args
			return gatewayStatusRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeOneProfile,
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&opts.check, "check", false, "print nothing; exit 0 only when everything is ready")
	return cmd
}

func gatewayStatusRun(ctx context.Context, opts *gatewayStatusOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	name, err := opts.one()
	if err != nil {
		return err
	}
	end := opts.progress(ctx, func() string { return "asking the gateway" })
	list, err := opts.gateways(ctx, home)
	end()
	if err != nil {
		return err
	}
	if name != "" {
		if list = only(list, name); len(list) == 0 {
			if _, err := home.Get(name); err != nil {
				return err
			}
		}
	}
	if !opts.check {
		opts.warnHung(list)
	}
	switch {
	case opts.json:
		statuses := make([]supervisor.Status, len(list))
		for i, gateway := range list {
			statuses[i] = gateway.Status
		}
		err = opts.printJSON(statuses)
	case opts.check || len(list) == 0:
	case name != "":
		opts.printDetails(list)
	default:
		opts.printStatus(list)
	}
	if err != nil {
		return err
	}
	if len(list) == 0 && !opts.json || opts.check {
		return opts.wrong(list, name)
	}
	return nil
}

// one is the profile that the command is about, or "" for all.
func (opts *gatewayStatusOptions) one() (profiles.Name, error) {
	name, err := opts.named()
	if err != nil || len(opts.names) == 0 {
		return name, err
	}
	given, err := parseName("NAME", opts.names[0])
	if err == nil && opts.profileFlag != "" && given != name {
		return "", usagef("-p %s and %s contradict each other", name, given)
	}
	return given, err
}

// only leaves what concerns one profile.
func only(list []running, name profiles.Name) []running {
	var left []running
	for _, gateway := range list {
		for _, status := range gateway.Profiles {
			if status.Name == string(name) {
				gateway.Profiles = []supervisor.ProfileStatus{status}
				left = append(left, gateway)
				break
			}
		}
	}
	return left
}

// wrong returns an error if something that should be served is not.
func (opts *gatewayStatusOptions) wrong(list []running, name profiles.Name) error {
	start := opts.command("gateway", "--all")
	if name != "" {
		start = opts.commandFor(name, "gateway")
	}
	if len(list) == 0 {
		what := "no gateway is running"
		if name != "" {
			what = fmt.Sprintf("no running gateway serves profile %s", name)
		}
		return fmt.Errorf("%s; start one with: %s", what, start)
	}
	for _, gateway := range list {
		if gateway.hung != nil {
			return gateway.hung
		}
		if gateway.Stopping {
			return fmt.Errorf("the gateway with pid %d is stopping", gateway.PID)
		}
		for _, status := range gateway.Profiles {
			if !healthy(status) {
				return fmt.Errorf("profile %s is %s: %s", status.Name, status.State, oneCell(status.Reason))
			}
		}
	}
	return nil
}

// healthy reports whether the profile is served, or is not meant to be: in a gateway
// that goes on, only such a one drains.
func healthy(status supervisor.ProfileStatus) bool {
	switch status.State {
	case supervisor.StateReady, supervisor.StateSleeping, supervisor.StateDraining, supervisor.StateStopped:
		return true
	default:
		return false
	}
}

func (opts *gatewayStatusOptions) printStatus(list []running) {
	now := opts.now()
	t := &table{header: []string{"PROFILE", "STATE", "PORT", "PID", "SINCE", "GEN", "RESTARTS", "MEMORY", "TURNS", "WALLS", "REASON"}}
	for _, gateway := range list {
		for _, status := range gateway.Profiles {
			row := cells(status.Name, string(status.State), number(status.Port), number(status.PID), since(now, status.Since),
				number(status.Generation), strconv.Itoa(status.Restarts), memory(status.Memory), turns(status.Busy, status.Jobs), level(status), because(status, now))
			row[1].style = stateStyle(status.State)
			t.add(row...)
			for _, old := range status.Retiring {
				row := cells(status.Name, stateRetiring, "", number(old.PID), since(now, old.Since),
					number(old.Generation), "", "", turns(old.Busy, old.Jobs), "", finishing(old, now))
				row[1].style = dim
				t.add(row...)
			}
		}
	}
	opts.printTable(t)
}

func stateStyle(state supervisor.State) style {
	switch state {
	case supervisor.StateReady, supervisor.StateSleeping:
		return green
	case supervisor.StateBackoff, supervisor.StateBadConfig, supervisor.StateBlocked, stateHung:
		return red
	case supervisor.StateStarting, supervisor.StateDraining:
		return yellow
	case supervisor.StateStopped:
		return dim
	default:
		return plain
	}
}

// number leaves a zero out: it stands for nothing there.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// since is how long ago something was, in one or two units.
func since(now, then time.Time) string {
	if then.IsZero() {
		return ""
	}
	d := max(now.Sub(then), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}
