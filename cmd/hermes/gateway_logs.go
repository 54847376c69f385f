package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hermes/profiles"
)

const (
	// logPoll is how often a log is looked at for new lines.
	logPoll = 200 * time.Millisecond
	// workerLog is the name of a worker's log in its profile's directory of logs.
	workerLog = "worker.log"
)

type gatewayLogsOptions struct {
	*app
	names  []string
	follow bool
	lines  int
	json   bool
}

func newGatewayLogsCmd(a *app) *cobra.Command {
	opts := &gatewayLogsOptions{app: a}
	cmd := &cobra.Command{
		Use:   "logs [NAME...]",
		Short: "Print what the workers logged",
		Long: `Print the last lines of the workers' logs, oldest first: of the profiles that are
named, else of -p, else of all. The files are JSON lines in each profile's
directory logs/; they are read from there, so no gateway needs to run.`,
		Example: `  hermes gateway logs
  hermes gateway logs alice bob -n 100
  hermes gateway logs -f alice
  hermes gateway logs --json | jq 'select(.level=="ERROR")'`,
		Args: words("[NAME...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.names = args
			return gatewayLogsRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeProfiles,
	}
	cmd.Flags().BoolVarP(&opts.follow, "follow", "f", false, "go on with what is logged from now on")
	cmd.Flags().IntVarP(&opts.lines, "lines", "n", 50, "print the last `N` lines of each log")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print the lines as they are in the files")
	return cmd
}

func gatewayLogsRun(ctx context.Context, opts *gatewayLogsOptions) error {
	if opts.lines < 0 {
		return usagef("--lines must not be below 0")
	}
	chosen, err := opts.chosen()
	if err != nil {
		return err
	}
	var logs []*tail
	defer func() {
		for _, log := range logs {
			log.close()
		}
	}()
	var records []logRecord
	for _, profile := range chosen {
		if profile.Err != nil {
			continue // doctor and list tell of it
		}
		log := &tail{path: filepath.Join(profile.Logs(), workerLog)}
		logs = append(logs, log)
		last, err := log.last(opts.lines)
		if err != nil {
			return err
		}
		for _, line := range last {
			records = append(records, parseRecord(profile.Name, line))
		}
	}
	slices.SortStableFunc(records, func(a, b logRecord) int { return a.Time.Compare(b.Time) })
	for _, record := range records {
		opts.print(record)
	}
	if !opts.follow {
		if len(records) == 0 {
			opts.eprintf("Nothing has been logged yet.\n")
		}
		return nil
	}
	return opts.goOn(ctx, chosen, logs)
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

// goOn prints what is added to the logs until the command is ended.
func (opts *gatewayLogsOptions) goOn(ctx context.Context, chosen []profiles.Profile, logs []*tail) error {
	ticker := time.NewTicker(logPoll)
	defer ticker.Stop()
	for {
		for i, log := range logs {
			lines, err := log.next()
			if err != nil {
				return err
			}
			for _, line := range lines {
				opts.print(parseRecord(chosen[i].Name, line))
			}
		}
		select {
		case <-ctx.Done():
			return nil // Ctrl-C is how this command is meant to end
		case <-ticker.C:
		}
	}
}

// logRecord is one line of a log.
type logRecord struct {
	Time    time.Time
	Level   string
	Message string
	Profile profiles.Name
	attrs   []string // key=value, in the line's order
	raw     []byte
}

// parseRecord reads a line. One that is no JSON object becomes the message.
func parseRecord(profile profiles.Name, line []byte) logRecord {
	record := logRecord{Profile: profile, raw: line, Message: string(line)}
	decoder := json.NewDecoder(bytes.NewReader(line))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return record
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return record
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return record
		}
		text := string(value)
		var unquoted string
		if json.Unmarshal(value, &unquoted) == nil {
			text = unquoted
		}
		switch key {
		case "time":
			record.Time, _ = time.Parse(time.RFC3339Nano, text)
		case "level":
			record.Level = text
		case "msg":
			record.Message = text
		case "profile":
		default:
			if strings.ContainsAny(text, " \t\n\"") {
				text = fmt.Sprintf("%q", text)
			}
			record.attrs = append(record.attrs, fmt.Sprintf("%v=%s", key, text))
		}
	}
	return record
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
		bold.paint(colours, string(record.Profile)),
		printable(record.Message),
		dim.paint(colours, printable(strings.Join(append([]string{""}, record.attrs...), " "))))
}
