//go:build !linux

package supervisor

import (
	"fmt"
	"os"
	"syscall"
)

// identityOf stands for the directory at path.
func identityOf(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d,%d", stat.Dev, stat.Ino)
}
