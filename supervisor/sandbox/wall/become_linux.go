package wall

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Become makes this process, a worker that root has started where there are no
// namespaces in which it could be nobody's, the user that it is to be for good. Dir is
// where it works. User 0 is nobody to become.
func Become(as Identity, dir string) error {
	if os.Geteuid() != 0 || as.UID == 0 {
		return nil
	}
	// All three are of the whole process. With the user its capabilities go.
	err := syscall.Setgroups(nil)
	if err == nil {
		err = syscall.Setresgid(as.GID, as.GID, as.GID)
	}
	if err == nil {
		err = syscall.Setresuid(as.UID, as.UID, as.UID)
	}
	if err != nil {
		return fmt.Errorf("become user %d: %w", as.UID, err)
	}
	if err := unix.Chdir(dir); errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%s is for user %d, who cannot get there: open the directories above it with chmod o+x", dir, as.UID)
	}
	return nil
}
