package profiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Rename gives a profile another name: one rename of its directory, and of the
// sticky choice if it was the profile. Port and key stay. It fails with *Held
// while a gateway serves the profile, and with *Draining while a worker is left.
func (h Home) Rename(ctx context.Context, old, name Name) error {
	if old == Default || name == Default {
		return errors.New("the default profile is the home itself and keeps its name")
	}
	if err := name.check(); err != nil {
		return err
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	p, err := h.Get(old)
	if err != nil {
		return err
	}
	target := h.profile(name)
	if _, err := os.Lstat(target.Dir); !errors.Is(err, fs.ErrNotExist) {
		return &Exists{name}
	}
	lock, err := p.Lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }()
	if err := os.Rename(p.Dir, target.Dir); err != nil {
		return fmt.Errorf("rename profile %s: %w", old, err)
	}
	if err := syncDir(h.ProfilesDir()); err != nil {
		return fmt.Errorf("rename profile %s: %w", old, err)
	}
	if sticky, err := h.readSticky(); err == nil && sticky == old {
		return h.writeSticky(name)
	}
	return nil
}

// Remove deletes a profile with everything in it. Its directory leaves the set
// of profiles by one rename before anything in it is deleted, so that a crash
// leaves no half of a profile; what is left is cleaned up by the next Create. It
// fails with *Held or *Draining as Rename does.
func (h Home) Remove(ctx context.Context, name Name) error {
	if name == Default {
		return fmt.Errorf("the default profile is the home itself and is not removed; delete %s by hand if you mean it", h.dir)
	}
	doomed, err := h.unpublish(ctx, name)
	if err != nil {
		return err
	}
	// Outside the lock: a large workspace takes its time.
	if err := removeAll(doomed); err != nil {
		return fmt.Errorf("remove profile %s: it is gone from the list, but files are left: %w", name, err)
	}
	return nil
}

// unpublish renames a profile to a hidden name and returns that.
func (h Home) unpublish(ctx context.Context, name Name) (string, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	p, err := h.Get(name)
	if err != nil {
		return "", err
	}
	lock, err := p.Lock()
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Release() }()
	doomed := h.unfinished(deletedPrefix, name)
	if err := os.Rename(p.Dir, doomed); err != nil {
		return "", fmt.Errorf("remove profile %s: %w", name, err)
	}
	if err := syncDir(h.ProfilesDir()); err != nil {
		return "", fmt.Errorf("remove profile %s: %w", name, err)
	}
	if sticky, err := h.readSticky(); err == nil && sticky == name {
		return doomed, h.writeSticky(Default)
	}
	return doomed, nil
}
