//go:build unix

package supervisor

import (
	"os"
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
