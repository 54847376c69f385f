package profiles

import (
	"errors"
	"os"
	"syscall"
)

// What the syscall package has no names for: open only to name a file (open(2)), and act on
// the descriptor itself (fchownat(2)).
const (
	onlyName  = 0x200000 // O_PATH
	emptyPath = 0x1000   // AT_EMPTY_PATH
)

// errOther is the error for a name that stands for another file by now.
var errOther = errors.New("it is another file by now")

// chown gives a file to a user if it is still the one that was looked at: who owns the
// directory could put another one in its place, one that is not its own among them where
// the kernel lets anybody make hard links (fs.protected_hardlinks=0).
func chown(root *os.Root, name string, id inode, to User) error {
	f, err := root.OpenFile(name, onlyName|noFollow, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !id.is(info) {
		return errOther
	}
	return os.NewSyscallError("fchownat", syscall.Fchownat(int(f.Fd()), "", to.UID, to.GID, emptyPath))
}
