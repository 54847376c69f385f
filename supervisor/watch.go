package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"hermes/profiles"
)

const (
	// lookEvery is the time between two looks at settings files. They are looked
	// at, not watched: a look sees through renames, links and remounts, works on
	// every file system, and costs a few microseconds a profile.
	lookEvery = 500 * time.Millisecond
	// listEvery is how many looks are taken at known profiles before the home is
	// searched for new ones.
	listEvery = 4
)

// sight is what a look finds of one profile.
type sight struct {
	profile profiles.Profile
	print   fingerprint
	// identity stands for its directory, so that another one in the same place is
	// told from it; empty if that cannot be said.
	identity string
	gone     bool // it does not exist any more
}

// watcher looks at the settings files of profiles.
type watcher struct {
	home profiles.Home
	all  bool // look for new profiles too
}

// watch calls seen with what it finds, over and over until ctx ends.
func (w watcher) watch(ctx context.Context, known []profiles.Profile, seen func([]sight)) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if w.all && n%listEvery == 0 {
			// A home that cannot be read for a moment changes nothing.
			if listed, err := w.home.List(); err == nil {
				known = merge(known, listed)
			}
		}
		sights := w.look(known)
		known = known[:0:0]
		for _, s := range sights {
			if !s.gone {
				known = append(known, s.profile)
			}
		}
		seen(sights)
	}
}

// merge returns known and those of listed that are not among them. Entries
// without a name are none.
func merge(known, listed []profiles.Profile) []profiles.Profile {
	names := make(map[profiles.Name]bool, len(known))
	for _, p := range known {
		names[p.Name] = true
	}
	for _, p := range listed {
		if p.Name != "" && !names[p.Name] {
			known = append(known, p)
		}
	}
	return known
}

func (w watcher) look(known []profiles.Profile) []sight {
	shared := w.shared()
	sights := make([]sight, len(known))
	for i, p := range known {
		sights[i] = sight{profile: p, print: printOf(p, shared)}
		sights[i].identity = identityOf(p.Dir)
		if w.all && sights[i].identity == "" {
			_, err := os.Stat(p.Dir)
			sights[i].gone = errors.Is(err, os.ErrNotExist)
		}
	}
	return sights
}

// shared is the part of every profile's fingerprint that the home's own settings
// make.
func (w watcher) shared() string {
	home := profiles.Profile{Name: profiles.Default, Dir: w.home.Dir()}
	return mark(home.ConfigFile()) + mark(home.EnvFile())
}

// fingerprint looks at one profile.
func (w watcher) fingerprint(p profiles.Profile) fingerprint { return printOf(p, w.shared()) }

func printOf(p profiles.Profile, shared string) fingerprint {
	return fingerprint(mark(p.ConfigFile()) + mark(p.EnvFile()) + shared)
}

// mark stands for the contents of a file: whoever changes them in place or by a
// rename changes it.
func mark(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "missing;"
	case err != nil:
		return "unreadable;"
	}
	inode := uint64(0)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	return fmt.Sprintf("%d,%d,%d;", info.ModTime().UnixNano(), info.Size(), inode)
}
