package profiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/renameio/v2"
)

// stickyFile holds the name of the profile that commands use when none is named.
func (h Home) stickyFile() string { return filepath.Join(h.dir, "active_profile") }

// Use makes a profile the one that commands use when none is named. Workers and
// gateways that were told a name never look at it.
func (h Home) Use(name Name) error {
	unlock, err := h.lock(context.Background())
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := h.Get(name); err != nil {
		return err
	}
	return h.writeSticky(name)
}

// Sticky returns the profile that Use chose, or Default. A choice that has
// vanished since is an error, not another profile.
func (h Home) Sticky() (Name, error) {
	name, err := h.readSticky()
	if err != nil {
		return "", err
	}
	if _, err := h.Get(name); err != nil {
		if _, gone := errors.AsType[*NotFound](err); gone {
			return "", fmt.Errorf("profile %s, chosen in %s, does not exist any more; choose another one with: hermes profile use NAME",
				name, h.stickyFile())
		}
		return "", err
	}
	return name, nil
}

func (h Home) readSticky() (Name, error) {
	data, err := os.ReadFile(h.stickyFile())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return Default, nil
	}
	if err != nil {
		return "", fmt.Errorf("read sticky profile: %w", err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return Default, nil
	}
	name, err := ParseRef(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w; choose a profile with: hermes profile use NAME", h.stickyFile(), err)
	}
	return name, nil
}

func (h Home) writeSticky(name Name) error {
	if err := publish(h.stickyFile(), []byte(name+"\n")); err != nil {
		return fmt.Errorf("write sticky profile: %w", err)
	}
	return nil
}

// publish writes a file of the home in one step, with mode 0600.
func publish(path string, data []byte) error {
	err := renameio.WriteFile(path, data, 0o600, renameio.WithTempDir(filepath.Dir(path)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	return inherit(path)
}
