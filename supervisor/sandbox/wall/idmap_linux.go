package wall

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Users makes a mapping of users, in which owner.Outside stands for owner.UID and
// owner.GID. It needs root. The program exe, which is started for that, does not come to
// run.
func Users(exe string, owner Identity, by Starter) (*os.File, error) {
	runtime.LockOSThread() // the one that traces
	defer runtime.UnlockOSThread()
	cmd := exec.Command(exe, ShimSubcommand) //nolint:noctx // it is this program, and stopped before it begins
	cmd.Dir, cmd.Env = "/", []string{}
	// The kernel knows a mapping of users only as that of a process.
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER, Ptrace: true,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: owner.UID, HostID: owner.Outside, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: owner.GID, HostID: owner.Outside, Size: 1}},
	}
	if err := by.Start(cmd); err != nil {
		return nil, fmt.Errorf("map owner of files: %w", bareError(err))
	}
	users, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	_ = cmd.Process.Kill()
	_ = by.Wait(cmd) // it was killed
	return users, err
}

// Idmap makes mounts of directories in which the owner of the files is who stands for
// that one in the mapping. It needs file systems that can do it. Without a mapping the
// mounts show what there is.
func Idmap(users *os.File, dirs ...string) (mounts []*os.File, err error) {
	for _, dir := range dirs {
		mount, err := mountOf(dir, users)
		if err != nil {
			for _, mount := range mounts {
				_ = mount.Close()
			}
			return nil, fmt.Errorf("map owner of %s: %w", dir, err)
		}
		mounts = append(mounts, mount)
	}
	return mounts, nil
}

func mountOf(dir string, users *os.File) (*os.File, error) {
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("open_tree", err)
	}
	if users == nil {
		return os.NewFile(uintptr(tree), "tree"), nil
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(users.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return nil, errors.Join(os.NewSyscallError("mount_setattr", err), unix.Close(tree))
	}
	return os.NewFile(uintptr(tree), "tree"), nil
}
