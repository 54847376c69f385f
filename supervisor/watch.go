package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"hermes/profiles"
)

const (
	// lookEvery is the time between two looks at settings files where the kernel
	// tells nothing of changes. A look works on every file system and costs a few
	// microseconds a profile.
	lookEvery = 500 * time.Millisecond
	// rescanEvery is the time between two looks where it does: some file systems
	// tell nothing, and a link can lead to a file elsewhere.
	rescanEvery = 30 * time.Second
	// echoAfter is when a change is looked at once more. A directory that is new, or
	// was renamed, may have changed between the look and the moment from which the
	// kernel tells of it.
	echoAfter = 300 * time.Millisecond
	// gather is how long a look waits for the rest of what has begun to change.
	gather = 20 * time.Millisecond
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
	log  *slog.Logger
}

// watch calls seen with what it finds, whenever something has changed, when it is
// nudged, and now and then, until ctx ends.
func (w watcher) watch(ctx context.Context, known []profiles.Profile, nudge <-chan struct{}, seen func([]sight)) {
	changed := make(chan struct{}, 1)
	events, err := w.follow(changed)
	if err == nil {
		defer func() { _ = events.Close() }()
		err = w.listen(events, known)
	}
	if err != nil {
		events = nil
		w.log.Warn("the kernel does not tell of changed settings; they are looked at twice a second", "error", err)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := rescanEvery
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-nudge:
			next = echoAfter
		case <-changed:
			next = echoAfter
			rest := time.NewTimer(gather)
			select {
			case <-rest.C:
			case <-ctx.Done():
			}
			rest.Stop()
		}
		var sights []sight
		sights, known = w.glance(known)
		seen(sights)
		if events != nil {
			if err := w.listen(events, known); err != nil { // a limit of the kernel, most likely
				events = nil
				w.log.Warn("the kernel does not tell of all changed settings; they are looked at twice a second", "error", err)
			}
		}
		if events == nil {
			next = lookEvery
		}
		timer.Reset(next)
	}
}

// follow has changed told of what the kernel tells. It takes that from a goroutine
// of its own: whoever asks the kernel for more must not be the one who has to
// listen meanwhile.
func (w watcher) follow(changed chan<- struct{}) (*fsnotify.Watcher, error) {
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	go func() { // until events is closed
		for event := range events.Events {
			if w.matters(event.Name) {
				tell()
			}
		}
	}()
	go func() {
		for range events.Errors { // some events were lost
			tell()
		}
	}()
	return events, nil
}

// matters reports whether a change of path can be one of settings: of their files,
// of what a link of such a file leads through in Kubernetes, or of a profile's
// directory.
func (w watcher) matters(path string) bool {
	dir, name := filepath.Dir(path), filepath.Base(path)
	switch {
	case dir == w.home.ProfilesDir(), path == w.home.ProfilesDir():
		return true
	default:
		return name == "config.yaml" || name == ".env" || strings.HasPrefix(name, "..")
	}
}

// listen has the kernel tell of the directories of all profiles. One that it is
// told of already stays so.
func (w watcher) listen(events *fsnotify.Watcher, known []profiles.Profile) error {
	dirs := []string{w.home.Dir(), w.home.ProfilesDir()}
	for _, p := range known {
		dirs = append(dirs, p.Dir)
	}
	for _, dir := range dirs {
		if err := events.Add(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// glance looks once, at known profiles and at those that are new, and returns
// which are known from then on.
func (w watcher) glance(known []profiles.Profile) ([]sight, []profiles.Profile) {
	if w.all {
		// A home that cannot be read for a moment changes nothing.
		if listed, err := w.home.List(); err == nil {
			known = merge(known, listed)
		}
	}
	sights := w.look(known)
	left := make([]profiles.Profile, 0, len(known))
	for _, s := range sights {
		if !s.gone {
			left = append(left, s.profile)
		}
	}
	return sights, left
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
