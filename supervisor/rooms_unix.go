//go:build unix

package supervisor

import (
	"os"
	"path/filepath"
	"syscall"

	"hermes/supervisor/sandbox/wall"
)

// ownerOf is whom a directory belongs to, or this user if it is not there.
func ownerOf(dir string) wall.Identity {
	info, err := os.Stat(dir)
	if err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			return wall.Identity{UID: int(stat.Uid), GID: int(stat.Gid)}
		}
	}
	return wall.Identity{UID: os.Geteuid(), GID: os.Getegid()}
}

// inherit gives a directory that root has made to the owner of the one that it is in.
func inherit(dir string) error {
	owner := ownerOf(filepath.Dir(dir))
	if os.Geteuid() != 0 || owner == ownerOf(dir) {
		return nil
	}
	return os.Lchown(dir, owner.UID, owner.GID)
}
