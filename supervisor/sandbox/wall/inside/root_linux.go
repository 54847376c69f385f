package inside

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"

	"hermes/supervisor/sandbox/wall/inside/unix"
)

// oldRoot is where the root of the machine is while the new one is built.
const oldRoot = "/old"

// sharedMemory is how much of memory the files in /dev/shm may take.
const sharedMemory = "size=256m,mode=1777"

// tempMemory is how much of memory files in a fresh /tmp may take.
const tempMemory = "size=64m,mode=0700"

// root makes a root of what the plan lists, and moves there. It is built from an
// empty one, since whatever is forgotten is then hidden, not shown.
func (s *stage) root() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return &failure{"part from the mounts of the machine", err}
	}
	if err := enterEmpty(); err != nil {
		return err
	}
	if s.tree > 0 {
		if err := s.mountTree(); err != nil {
			return err
		}
	}
	for _, seen := range s.System {
		if err := seen.show(true); err != nil {
			return err
		}
	}
	if err := s.devices(); err != nil {
		return err
	}
	if err := s.processes(); err != nil {
		return err
	}
	if err := s.temp(); err != nil {
		return err
	}
	var hidden []string
	for _, mask := range s.Masks {
		if s.Temp == freshTemp && Within(mask, "/tmp") {
			// What is shown in there is not to be beside what the worker makes.
			if err := mountPoint(mask, true); err != nil {
				return err
			}
		}
		covered, err := hide(mask)
		if err != nil {
			return err
		}
		if covered {
			hidden = append(hidden, mask)
		}
	}
	// What is the profile's comes last: it may lie where something was hidden.
	for _, seen := range s.Reads {
		if err := seen.show(true); err != nil {
			return err
		}
	}
	for _, seen := range s.Writes {
		if err := seen.show(false); err != nil {
			return err
		}
	}
	return seal(hidden)
}

// temp makes /tmp.
func (s *stage) temp() error {
	if s.Temp == freshTemp {
		if err := mountPoint("/tmp", true); err != nil {
			return err
		}
		if err := syscall.Mount("tmp", "/tmp", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, tempMemory); err != nil {
			return &failure{"make /tmp", err}
		}
	} else if err := (Place{Source: s.Temp, Path: "/tmp"}).show(false); err != nil {
		return err
	}
	if err := os.MkdirAll("/var", 0o755); err != nil { //nolint:gosec // as /var is
		return err
	}
	return os.Symlink("/tmp", "/var/tmp")
}

// enterEmpty makes an empty root with the old one in it.
func enterEmpty() error {
	// Any directory will do; the machine's own is back as soon as the root is another.
	var base string
	for _, base = range []string{"/tmp", "/run", "/mnt", "/var"} {
		if info, err := os.Stat(base); err == nil && info.IsDir() {
			break
		}
	}
	if err := syscall.Mount("root", base, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size=1m,mode=0755"); err != nil {
		return &failure{"make empty root", err}
	}
	if err := os.Mkdir(base+oldRoot, 0o700); err != nil {
		return err
	}
	if err := syscall.PivotRoot(base, base+oldRoot); err != nil {
		return &failure{"change root", err}
	}
	return syscall.Chdir("/")
}

// seal takes away the old root, and makes the new one read-only, with the empty
// directories in it.
func seal(hidden []string) error {
	if err := syscall.Unmount(oldRoot, syscall.MNT_DETACH); err != nil {
		return &failure{"take away the old root", err}
	}
	if err := os.Remove(oldRoot); err != nil {
		return err
	}
	if err := syscall.Unmount(treeRoot, syscall.MNT_DETACH); err == nil {
		if err := os.Remove(treeRoot); err != nil {
			return err
		}
	}
	for _, path := range append(hidden, "/") {
		if err := syscall.Mount("", path, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV, ""); err != nil {
			return &failure{"close " + path, err}
		}
	}
	return nil
}

// treeRoot is where the mount of a profile's directory is meanwhile.
const treeRoot = "/tree"

// mountTree mounts what came with the request.
func (s *stage) mountTree() error {
	if err := os.Mkdir(treeRoot, 0o700); err != nil {
		return err
	}
	if err := unix.MoveMount(s.tree, "", unix.AT_FDCWD, treeRoot, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &failure{"mount the profile's directory", err}
	}
	return nil
}

// show makes a place appear under its name.
func (p Place) show(readOnly bool) error {
	if p.Link != "" {
		if err := os.MkdirAll(path.Dir(p.Path), 0o755); err != nil { //nolint:gosec // directories of the system are open
			return err
		}
		if err := os.Symlink(p.Link, p.Path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	}
	source := cmp.Or(p.within, oldRoot) + p.Source
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if err := mountPoint(p.Path, info.IsDir()); err != nil {
		return err
	}
	if err := syscall.Mount(source, p.Path, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return &failure{"show " + p.Path, err}
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV}
	if readOnly {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, p.Path, unix.AT_RECURSIVE, &attr); err != nil {
		return &failure{"close " + p.Path, err}
	}
	return nil
}

// mountPoint makes something to mount on, unless it is there.
func mountPoint(name string, dir bool) error {
	if dir {
		return os.MkdirAll(name, 0o755) //nolint:gosec // only its name is to be seen
	}
	if err := os.MkdirAll(path.Dir(name), 0o755); err != nil { //nolint:gosec // see above
		return err
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return err
	}
	if file != nil {
		return file.Close()
	}
	return nil
}

// hide puts nothing in place of something, where it is seen. Covered says that it
// was a directory, and is an empty one now.
func hide(path string) (covered bool, err error) {
	info, err := os.Lstat(path)
	if err != nil {
		return false, nil //nolint:nilerr // then it is not seen
	}
	if !info.IsDir() {
		if err := syscall.Mount(oldRoot+"/dev/null", path, "", syscall.MS_BIND, ""); err != nil {
			return false, &failure{"hide " + path, err}
		}
		return false, nil
	}
	if err := syscall.Mount("hidden", path, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "size=64k,mode=0755"); err != nil {
		return false, &failure{"hide " + path, err}
	}
	return true, nil
}

// devices makes /dev, a directory of the root as any other: each file system more takes
// its time to begin and to end.
func (s *stage) devices() error {
	if err := os.MkdirAll("/dev", 0o755); err != nil { //nolint:gosec // as /dev is
		return err
	}
	for _, name := range devices() {
		if err := showDevice(oldRoot+"/dev/"+name, "/dev/"+name); err != nil {
			return err
		}
	}
	for _, dir := range []string{"/dev/pts", "/dev/shm"} {
		if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // as in any /dev
			return err
		}
	}
	if err := syscall.Mount("devpts", "/dev/pts", "devpts", syscall.MS_NOSUID|syscall.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620"); err != nil {
		return &failure{"make terminals", err}
	}
	if err := syscall.Mount("shm", "/dev/shm", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, sharedMemory); err != nil {
		return &failure{"make shared memory", err}
	}
	if s.Terminal {
		// Programs ask for the name of their terminal; its true one is not here.
		if name, err := os.Readlink(number(0)); err == nil {
			if err := showDevice(oldRoot+name, "/dev/console"); err != nil {
				return err
			}
		}
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}

func showDevice(source, path string) error {
	if err := mountPoint(path, false); err != nil {
		return err
	}
	if err := syscall.Mount(source, path, "", syscall.MS_BIND, ""); err != nil && !errors.Is(err, syscall.ENOENT) {
		return &failure{"show " + path, err}
	}
	return nil
}

// processes makes /proc: of the command's own processes if it has a namespace of
// them. What the machine is set by is read-only, since for some of it the kernel
// asks for the number of the user and for no capability.
func (s *stage) processes() error {
	if err := os.MkdirAll("/proc", 0o755); err != nil { //nolint:gosec // as /proc is
		return err
	}
	if !s.Layers.Processes {
		if err := syscall.Mount(oldRoot+"/proc", "/proc", "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return &failure{"show /proc", err}
		}
		return nil
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return &failure{"make /proc", err}
	}
	if os.Geteuid() != 0 {
		return nil
	}
	if s.Temp == freshTemp {
		if err := wholeProc(); err != nil {
			return err
		}
	}
	for _, name := range []string{"sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "mtrr"} {
		path := "/proc/" + name
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		if err := syscall.Mount(path, path, "", syscall.MS_BIND, ""); err != nil {
			return &failure{"close " + path, err}
		}
		if err := syscall.Mount("", path, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY|syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
			return &failure{"close " + path, err}
		}
	}
	return nil
}

// wholeProc mounts /proc once more where nobody can get: the kernel lets a stage in here
// mount its own only if there is one of which no part is covered.
func wholeProc() error {
	const cover = "/mnt"
	if err := os.MkdirAll(cover+"/proc", 0o755); err != nil { //nolint:gosec // only its name is to be seen
		return err
	}
	if err := syscall.Mount("proc", cover+"/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return &failure{"make /proc", err}
	}
	if err := syscall.Mount("hidden", cover, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_RDONLY, "size=64k,mode=0755"); err != nil {
		return &failure{"cover /proc", err}
	}
	return nil
}
