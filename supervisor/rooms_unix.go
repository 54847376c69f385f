//go:build unix

package supervisor

import (
	"os"
	"path/filepath"

	"hermes/supervisor/sandbox/wall"
)

// inherit gives a directory that root has made to the owner of the one that it is in.
func inherit(dir string) error {
	owner := wall.OwnerOf(filepath.Dir(dir))
	if os.Geteuid() != 0 || owner == wall.OwnerOf(dir) {
		return nil
	}
	return os.Lchown(dir, owner.UID, owner.GID)
}
