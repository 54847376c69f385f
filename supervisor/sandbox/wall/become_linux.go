package wall

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepCapabilities are the secure bits with which a process keeps its capabilities when it
// becomes another user (SECBIT_NO_SETUID_FIXUP and SECBIT_KEEP_CAPS, capabilities(7)).
const keepCapabilities = 1<<2 | 1<<4

// Become makes this process, a worker that root has started where there are no
// namespaces in which it could be nobody's, the user that it is to be for good. Dir is
// where it works. User 0 is nobody to become.
func Become(as Identity, dir string) error {
	if os.Geteuid() != 0 || as.UID == 0 {
		return nil
	}
	if bits, err := unix.PrctlRetInt(unix.PR_GET_SECUREBITS, 0, 0, 0, 0); err != nil || bits&keepCapabilities != 0 {
		return fmt.Errorf("become user %d: capabilities would stay (secure bits %#x); start hermes without those bits", as.UID, bits)
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
