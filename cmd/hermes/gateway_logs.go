package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hermes/profiles"
)

// workerLog is the name of a worker's log in its profile's directory of logs.
const workerLog = "worker.log"

type gatewayLogsOptions struct {
	*app
	names  []string
	follow bool
	lines  int
	since  string
	json   bool
	from   time.Time // what since says
	now    func() time.Time
	width  int                   // of the longest name
	hues   map[profiles.Name]int // the colour of each name, by its place in the list
}

func newGatewayLogsCmd(a *app) *cobra.Command {
	opts := &gatewayLogsOptions{app: a, now: time.Now}
	cmd := &cobra.Command{
		Use:   "logs [NAME...]",
		Short: "Print what the workers logged",
		Long: `Print the last lines of the workers' logs, ordered by time: of the profiles that
are named, else of -p, else of all. The files are JSON lines in each profile's
directory logs/; they are read from there, so no gateway needs to run.

With -f it goes on, across files that are set aside, and unless profiles were
named, with those that are made later. What the gateway itself logs is on its
stderr; under systemd: journalctl -u hermes.`,
		Example: `  hermes gateway logs
  hermes gateway logs alice bob -n 100
  hermes gateway logs -f alice
  hermes gateway logs --since 15m
  hermes gateway logs --since 2026-01-31T08:00 alice
  hermes gateway logs --json | jq 'select(.level=="ERROR")'`,
		Args: words("[NAME...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.names = args
			if opts.since != "" && !cmd.Flags().Changed("lines") {
				opts.lines = math.MaxInt
			}
			return gatewayLogsRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeProfiles,
	}
	cmd.Flags().BoolVarP(&opts.follow, "follow", "f", false, "go on with what is logged from now on")
	cmd.Flags().IntVarP(&opts.lines, "lines", "n", 50, "print the last `N` lines of each log")
	cmd.Flags().StringVar(&opts.since, "since", "", "print what was logged since a `TIME`, or for as long as 90s, 15m or 2h; with -n no more than that")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print the lines as they are in the files")
	return cmd
}

func gatewayLogsRun(ctx context.Context, opts *gatewayLogsOptions) error {
	if opts.lines < 0 {
		return usagef("--lines must not be below 0")
	}
	var err error
	if opts.from, err = sinceWhen(opts.since, opts.now()); err != nil {
		return err
	}
	chosen, err := opts.chosen()
	if err != nil {
		return err
	}
	logs := &tails{byName: map[profiles.Name]*tail{}}
	defer logs.close()
	opts.arrange(chosen)
	var records []logRecord
	for _, profile := range chosen {
		if profile.Err != nil {
			continue // doctor and list tell of it
		}
		last, err := logs.add(profile).last(opts.lines, opts.from)
		if err != nil {
			return err
		}
		records = append(records, opts.recent(profile.Name, last)...)
	}
	opts.printAll(records)
	if !opts.follow {
		if len(records) == 0 {
			opts.eprintf("Nothing has been logged %s.\n", map[bool]string{true: "yet", false: "since then"}[opts.since == ""])
		}
		return nil
	}
	return opts.goOn(ctx, logs)
}

// sinceWhen reads a moment, or how long ago it was; empty is the beginning.
func sinceWhen(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usagef("--since %s is neither how long ago, such as 15m or 2h, nor a time such as 2026-01-31T08:00", quote(text))
}

// recent are the records of lines that are not too old. What has no time of its
// own belongs to the line before it.
func (opts *gatewayLogsOptions) recent(name profiles.Name, lines [][]byte) []logRecord {
	var records []logRecord
	at := time.Time{}
	for _, line := range lines {
		record := parseRecord(name, line)
		if record.Time.IsZero() {
			record.sorted = at
		} else {
			record.sorted, at = record.Time, record.Time
		}
		if !record.sorted.Before(opts.from) {
			records = append(records, record)
		}
	}
	return records
}

func (opts *gatewayLogsOptions) printAll(records []logRecord) {
	slices.SortStableFunc(records, func(a, b logRecord) int { return a.sorted.Compare(b.sorted) })
	for _, record := range records {
		opts.print(record)
	}
}

// arrange gives every profile a colour, and names the same width.
func (opts *gatewayLogsOptions) arrange(chosen []profiles.Profile) {
	if opts.hues == nil {
		opts.hues = map[profiles.Name]int{}
	}
	for _, profile := range chosen {
		if _, known := opts.hues[profile.Name]; !known {
			opts.hues[profile.Name] = len(opts.hues)
		}
		opts.width = max(opts.width, len(profile.Name))
	}
}

// chosen is the profiles whose logs are printed.
func (opts *gatewayLogsOptions) chosen() ([]profiles.Profile, error) {
	home, err := opts.home()
	if err != nil {
		return nil, err
	}
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
		if name == "" {
			return home.List()
		}
		names = append(names, name)
	}
	var chosen []profiles.Profile
	for _, name := range names {
		profile, err := home.Get(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, profile)
	}
	return chosen, nil
}

func (opts *gatewayLogsOptions) print(record logRecord) {
	if opts.json {
		opts.printf("%s\n", record.raw)
		return
	}
	colours := opts.colours(opts.outTTY)
	level := map[string]style{"ERROR": red, "WARN": yellow, "DEBUG": dim}[record.Level]
	opts.printf("%s %s %s %s%s\n",
		dim.paint(colours, record.Time.Local().Format("2006-01-02 15:04:05.000")),
		level.paint(colours, fmt.Sprintf("%-5s", printable(record.Level))),
		opts.hue(record.Profile).paint(colours, fmt.Sprintf("%-*s", opts.width, record.Profile)),
		printable(record.Message),
		dim.paint(colours, printable(strings.Join(append([]string{""}, record.attrs...), " "))))
}

// hue is the colour of a profile's name, beside others.
func (opts *gatewayLogsOptions) hue(name profiles.Name) style {
	hues := []style{cyan, green, magenta, blue, yellow}
	if len(opts.hues) < 2 {
		return bold
	}
	return hues[opts.hues[name]%len(hues)]
}
