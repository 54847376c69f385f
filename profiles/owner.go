package profiles

import (
	"os"
	"path/filepath"
	"syscall"
)

// inherit gives a new file or directory to the owner of the directory that it
// is in, when root made it: an administrator's `sudo hermes profile create` must
// not leave files that the gateway's user cannot read.
func inherit(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return os.Lchown(path, int(stat.Uid), int(stat.Gid))
	}
	return nil
}
