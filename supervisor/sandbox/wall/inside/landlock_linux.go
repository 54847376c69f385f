package inside

import (
	"errors"
	"os"
	"slices"
	"syscall"
	"unsafe"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

// SignalABI is the version of Landlock that knows scopes of signals and of abstract
// sockets.
const SignalABI = 6

// What may be done below a place, and what with a single file.
const (
	accessRead  = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	accessWrite = accessRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_REFER |
		unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG |
		unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
	accessDevice = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	accessFile   = accessDevice | unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX
)

// LandlockABI is the version of Landlock that the kernel has, 0 for none.
func LandlockABI() int {
	abi, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

// landlock is a set of rules: what is not allowed by one is forbidden.
type landlock struct {
	fd      int
	handled uint64
}

// newLandlock begins a set of all that a version of Landlock can forbid of files,
// and of abstract sockets and, with signals, of signals to processes outside.
func newLandlock(abi int, signals bool) (*landlock, error) {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1}
	for version, access := range map[int]uint64{
		2: unix.LANDLOCK_ACCESS_FS_REFER, 3: unix.LANDLOCK_ACCESS_FS_TRUNCATE,
		5: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV, 9: unix.LANDLOCK_ACCESS_FS_RESOLVE_UNIX,
	} {
		if abi >= version {
			attr.Handled_access_fs |= access
		}
	}
	if abi >= SignalABI {
		attr.Scoped = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
		if signals {
			attr.Scoped |= unix.LANDLOCK_SCOPE_SIGNAL
		}
	}
	// An older kernel takes the longer struct as long as the rest of it is zero.
	fd, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0) //nolint:gosec // the kernel reads the address
	if errno != 0 {
		return nil, &failure{"make rules", errno}
	}
	return &landlock{fd: int(fd), handled: attr.Handled_access_fs}, nil
}

// allow allows what is at a path, and below it. What is not there is passed over.
func (l *landlock) allow(path string, access uint64) error {
	fd, err := syscall.Open(path, unix.O_PATH|syscall.O_CLOEXEC, 0)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EACCES) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	return l.allowOpen(fd, access)
}

func (l *landlock) allowOpen(fd int, access uint64) error {
	var info syscall.Stat_t
	if err := syscall.Fstat(fd, &info); err != nil {
		return &failure{"look at place", err}
	}
	if info.Mode&syscall.S_IFMT != syscall.S_IFDIR {
		access &= accessFile
	}
	attr := unix.LandlockPathBeneathAttr{Allowed_access: access & l.handled, Parent_fd: int32(fd)} //nolint:gosec // small
	if attr.Allowed_access == 0 {
		return nil
	}
	_, _, errno := syscall.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(l.fd), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&attr)), 0, 0, 0) //nolint:gosec // the kernel reads the address
	if errno != 0 {
		return &failure{"add rule", errno}
	}
	return nil
}

// apply makes the rules hold for this thread and all that it starts.
func (l *landlock) apply() error {
	defer syscall.Close(l.fd)
	if _, _, errno := syscall.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(l.fd), 0, 0); errno != 0 {
		return &failure{"restrict self", errno}
	}
	return nil
}

// devices are those that a command may use.
func devices() []string {
	return []string{"null", "zero", "full", "random", "urandom", "tty"}
}

// rules are what the plan lets a command do with files.
func (s *stage) rules() (*landlock, error) {
	// A worker ends the stages that its shim has started; in its process namespace there
	// is nobody else.
	l, err := newLandlock(s.Layers.Landlock, !s.worker || !s.Layers.Processes)
	if err != nil {
		return nil, err
	}
	type rule struct {
		path   string
		access uint64
	}
	rules := []rule{{"/proc", accessRead}}
	for _, seen := range slices.Concat(s.System, s.Reads) {
		rules = append(rules, rule{seen.Path, accessRead})
	}
	for _, seen := range s.Writes {
		rules = append(rules, rule{seen.Path, accessWrite})
	}
	for _, device := range devices() {
		rules = append(rules, rule{"/dev/" + device, accessDevice})
	}
	if s.worker {
		rules = append(rules, rule{"/proc/self/exe", accessRead}) // it starts itself to read documents
	}
	if s.Layers.Mounts {
		// The root holds what was put there, and nothing else.
		rules = append(rules, rule{"/", unix.LANDLOCK_ACCESS_FS_READ_DIR}, rule{"/tmp", accessWrite},
			rule{"/dev/shm", accessWrite}, rule{"/dev/pts", accessDevice | accessRead}, rule{"/dev/console", accessDevice})
	} else if s.worker {
		// It makes the terminals of its commands. The true /tmp is everybody's.
		rules = append(rules, rule{"/dev/ptmx", accessDevice}, rule{"/dev/pts", accessDevice | accessRead})
	} else {
		rules = append(rules, rule{s.Temp, accessWrite})
	}
	for _, r := range rules {
		if err := l.allow(r.path, r.access); err != nil {
			return nil, errors.Join(err, syscall.Close(l.fd))
		}
	}
	if s.Terminal {
		// So that /dev/stderr can be opened.
		if err := l.allowOpen(0, accessDevice); err != nil {
			return nil, errors.Join(err, syscall.Close(l.fd))
		}
	}
	return l, nil
}

// WorkerRules are what a room lets the worker do with files, as a descriptor for
// landlock_restrict_self.
func WorkerRules(p Plan) (int, error) {
	rules, err := (&stage{Plan: p, worker: true}).rules()
	if err != nil {
		return 0, err
	}
	return rules.fd, nil
}
