package wall

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// becomeOwner makes a worker of root the user to whom its profile belongs, for good,
// where there are no namespaces in which it could be nobody's. Of root's own profiles
// the worker stays root, and gives up the capabilities of it.
func becomeOwner(dir string) error {
	if os.Geteuid() != 0 || dir == "" {
		return nil
	}
	var info unix.Stat_t
	if err := unix.Stat(dir, &info); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	uid, gid := int(info.Uid), int(info.Gid)
	if uid == 0 {
		return nil
	}
	// All three are of the whole process. With the user its capabilities go.
	err := syscall.Setgroups(nil)
	if err == nil {
		err = syscall.Setresgid(gid, gid, gid)
	}
	if err == nil {
		err = syscall.Setresuid(uid, uid, uid)
	}
	if err != nil {
		return fmt.Errorf("become the owner of %s, user %d: %w", dir, uid, err)
	}
	if err := unix.Chdir(dir); errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%s belongs to user %d, who cannot get there: open the directories above it with chmod o+x, or give them to that user", dir, uid)
	}
	return nil
}
