package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"hermes/profiles"
	"hermes/supervisor"
)

// eventsAgain is when gateways are looked for again.
const eventsAgain = time.Second

type gatewayEventsOptions struct {
	*app
	names  []string
	follow bool
	json   bool
	lines  int
}

func newGatewayEventsCmd(a *app) *cobra.Command {
	opts := &gatewayEventsOptions{app: a}
	cmd := &cobra.Command{
		Use:   "events [NAME...]",
		Short: "Print what happened to the services of profiles",
		Long: `Print what happened to the services of the profiles that are named, else of -p,
else of all: which state followed which, and why. A running gateway keeps its
last 1,000 events. With -f it goes on, also with a gateway that is started later.`,
		Example: `  hermes gateway events
  hermes gateway events -f alice
  hermes gateway events -f --json | jq 'select(.to=="backoff")'`,
		Args: words("[NAME...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.names = args
			return gatewayEventsRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeProfiles,
	}
	cmd.Flags().BoolVarP(&opts.follow, "follow", "f", false, "go on with what happens from now on")
	cmd.Flags().IntVarP(&opts.lines, "lines", "n", 50, "begin with the last `N` events of each gateway")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print a JSON object a line")
	return cmd
}

func gatewayEventsRun(ctx context.Context, opts *gatewayEventsOptions) error {
	if opts.lines < 0 {
		return usagef("--lines must not be below 0")
	}
	wanted, err := opts.wanted()
	if err != nil {
		return err
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	clients, err := supervisor.Gateways(ctx, home)
	if err != nil {
		return err
	}
	if len(clients) == 0 && !opts.follow {
		return fmt.Errorf("no gateway is running; start one with: %s", opts.command("gateway", "--all"))
	}
	seen := map[string]supervisor.Event{} // the last of each socket
	var all []supervisor.Event
	for _, client := range clients {
		kept, err := keptEvents(ctx, client, wanted)
		if err != nil {
			return err
		}
		if len(kept) > 0 {
			seen[client.Name()] = kept[len(kept)-1]
		}
		all = append(all, kept[max(0, len(kept)-opts.lines):]...)
	}
	slices.SortStableFunc(all, func(a, b supervisor.Event) int { return a.Time.Compare(b.Time) })
	for _, event := range all {
		if err := opts.print(event); err != nil {
			return err
		}
	}
	if !opts.follow {
		return nil
	}
	return opts.goOn(ctx, home, seen, wanted)
}

// wanted returns which profiles' events are printed.
func (opts *gatewayEventsOptions) wanted() (func(supervisor.Event) bool, error) {
	var names []profiles.Name
	for _, arg := range opts.names {
		name, err := parseName("NAME", arg)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		name, err := opts.named()
		if err != nil {
			return nil, err
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return func(event supervisor.Event) bool {
		return len(names) == 0 || slices.Contains(names, profiles.Name(event.Profile))
	}, nil
}

func keptEvents(ctx context.Context, client *supervisor.Client, wanted func(supervisor.Event) bool) ([]supervisor.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	var kept []supervisor.Event
	err := client.Events(ctx, supervisor.Event{}, false, func(event supervisor.Event) error {
		if wanted(event) {
			kept = append(kept, event)
		}
		return nil
	})
	return kept, err
}

// goOn prints events as they come, until the command is ended. A gateway that
// cuts this reader off, or ends, is looked for again.
func (opts *gatewayEventsOptions) goOn(
	ctx context.Context, home profiles.Home, seen map[string]supervisor.Event, wanted func(supervisor.Event) bool,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type news struct {
		from  string
		event supervisor.Event // zero when the stream has ended
	}
	came := make(chan news)
	streams := map[string]bool{}
	ticker := time.NewTicker(eventsAgain)
	defer ticker.Stop()
	for {
		clients, err := supervisor.Gateways(ctx, home)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, client := range clients {
			if name, after := client.Name(), seen[client.Name()]; !streams[name] {
				streams[name] = true
				go func() { // ends with ctx, which this function ends
					_ = client.Events(ctx, after, true, func(event supervisor.Event) error {
						select {
						case came <- news{name, event}:
							return nil
						case <-ctx.Done():
							return ctx.Err()
						}
					})
					select {
					case came <- news{from: name}:
					case <-ctx.Done():
					}
				}()
			}
		}
		for again := false; !again; {
			select {
			case <-ctx.Done():
				return nil // Ctrl-C is how this command is meant to end
			case <-ticker.C:
				again = true
			case n := <-came:
				if n.event.Seq == 0 {
					delete(streams, n.from)
					continue
				}
				seen[n.from] = n.event
				if !wanted(n.event) {
					continue
				}
				if err := opts.print(n.event); err != nil {
					return err
				}
			}
		}
	}
}

func (opts *gatewayEventsOptions) print(event supervisor.Event) error {
	if opts.json {
		encoder := json.NewEncoder(opts.out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(event); err != nil {
			return errors.Join(errors.New("write event"), err)
		}
		return nil
	}
	colours := opts.colours(opts.outTTY)
	change := fmt.Sprintf("%s → %s", event.From, event.To)
	switch event.From {
	case "":
		change = string(event.To)
	case event.To:
		change = string(event.To)
	default:
	}
	worker := ""
	if event.PID != 0 {
		worker = fmt.Sprintf("  pid %d, generation %d", event.PID, event.Generation)
	}
	reason := ""
	if event.Reason != "" {
		reason = "  " + printable(event.Reason)
	}
	opts.printf("%s %s %s%s%s\n",
		dim.paint(colours, event.Time.Local().Format("2006-01-02 15:04:05.000")), bold.paint(colours, printable(event.Profile)),
		stateStyle(event.To).paint(colours, printable(change)), dim.paint(colours, worker), reason)
	return nil
}
