package main

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"hermes/profiles"
)

const (
	// logPoll is how often a log is looked at for new lines.
	logPoll = 200 * time.Millisecond
	// profileLooks is after how many of these looks profiles are looked for too.
	profileLooks = 5
)

// goOn prints what is added to the logs until the command is ended.
func (opts *gatewayLogsOptions) goOn(ctx context.Context, logs *tails) error {
	ticker := time.NewTicker(logPoll)
	defer ticker.Stop()
	for looks := 1; ; looks++ {
		if looks%profileLooks == 0 && opts.every() {
			if err := opts.lookForProfiles(logs); err != nil {
				return err
			}
		}
		var records []logRecord
		for _, name := range slices.Sorted(maps.Keys(logs.byName)) {
			lines, err := logs.byName[name].next()
			if err != nil {
				return err
			}
			records = append(records, opts.recent(name, lines)...)
		}
		opts.printAll(records)
		select {
		case <-ctx.Done():
			return nil // Ctrl-C is how this command is meant to end
		case <-ticker.C:
		}
	}
}

// every reports whether the logs of all profiles are printed.
func (opts *gatewayLogsOptions) every() bool {
	name, err := opts.named()
	return len(opts.names) == 0 && name == "" && err == nil
}

// lookForProfiles takes in profiles that are new, from their first line on, and
// lets go of those that are gone.
func (opts *gatewayLogsOptions) lookForProfiles(logs *tails) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	list, err := home.List()
	if err != nil {
		return err
	}
	opts.arrange(list)
	there := map[profiles.Name]bool{}
	for _, profile := range list {
		if there[profile.Name] = profile.Err == nil; there[profile.Name] {
			logs.add(profile)
		}
	}
	logs.keep(there)
	return nil
}

// tails are the logs that are read, by profile.
type tails struct{ byName map[profiles.Name]*tail }

// add takes a profile's log in, if it is not there yet.
func (t *tails) add(profile profiles.Profile) *tail {
	if t.byName[profile.Name] == nil {
		t.byName[profile.Name] = &tail{path: filepath.Join(profile.Logs(), workerLog)}
	}
	return t.byName[profile.Name]
}

// keep lets go of all others.
func (t *tails) keep(names map[profiles.Name]bool) {
	maps.DeleteFunc(t.byName, func(name profiles.Name, log *tail) bool {
		if names[name] {
			return false
		}
		log.close()
		return true
	})
}

func (t *tails) close() { t.keep(nil) }
