package supervisor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// identityOf stands for the directory at path. The number of an inode is used
// again soon, so the time of its birth is a part of it where there is one.
func identityOf(path string) string {
	var stat unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, 0, unix.STATX_INO|unix.STATX_BTIME, &stat) != nil {
		return ""
	}
	return fmt.Sprintf("%d:%d,%d,%d.%d", stat.Dev_major, stat.Dev_minor, stat.Ino, stat.Btime.Sec, stat.Btime.Nsec)
}
