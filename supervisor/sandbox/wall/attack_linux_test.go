package wall_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall"
)

// attack is something that a command must not be able to do. It returns nil if it
// has done it.
type attack struct {
	name string
	try  func(s *scene) error
}

// attacksMain tries all attacks, which is only for those who stand behind a wall or
// own nothing: several would change the machine if they succeeded as its root. It
// starts a process for each, and writes the names of those that succeed, and at the
// end how many there were.
func attacksMain() int {
	who := "command"
	if len(os.Args) > 2 {
		who = os.Args[2]
	}
	all := attacksOf(who)
	for _, a := range all {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		cmd := exec.CommandContext(ctx, "/proc/self/exe", "attack", who, a.name)
		if who == "worker" {
			cmd.ExtraFiles = []*os.File{nil, os.NewFile(wall.ShimFD, "shim")}
		}
		said, err := cmd.CombinedOutput()
		cancel()
		if err == nil {
			fmt.Println("HIT", a.name)
		} else if os.Getenv("TELL") != "" {
			fmt.Println("no", a.name+":", firstLine(string(said)))
		}
	}
	fmt.Println("TRIED", len(all))
	return 0
}

// attackMain tries one.
func attackMain() int {
	var s scene
	if err := json.Unmarshal([]byte(os.Getenv("SCENE")), &s); err != nil {
		fmt.Println(err)
		return 1
	}
	all := attacksOf(os.Args[2])
	i := slices.IndexFunc(all, func(a attack) bool { return a.name == os.Args[3] })
	runtime.LockOSThread()
	if err := all[i].try(&s); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func attacks() []attack {
	return slices.Concat(fileAttacks(), writeAttacks(), processAttacks(), kernelAttacks(), machineAttacks(), socketAttacks())
}

// reads succeeds if there is a canary in the file.
func reads(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	data := make([]byte, 64<<10)
	n, err := io.ReadFull(file, data)
	if bytes.Contains(data[:n], []byte(canary)) {
		return nil
	}
	return fmt.Errorf("no canary in %d bytes: %w", n, errors.Join(err, io.EOF))
}

// shows succeeds if a directory has an entry besides those.
func shows(dir string, known ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !slices.Contains(known, entry.Name()) {
			return nil
		}
	}
	return errors.New("nothing to see")
}

// writes succeeds if a file can be opened for writing; it writes nothing.
func writes(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return file.Close()
}

// makes succeeds if a file can be made.
func makes(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(path))
}

// called succeeds unless a system call has failed.
func called(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// reached succeeds unless the call was refused before the kernel looked at it.
func reached(errno syscall.Errno) error {
	if errno == unix.EPERM || errno == unix.ENOSYS || errno == unix.EACCES {
		return errno
	}
	return nil
}

func syscallOf(number uintptr, args ...uintptr) syscall.Errno {
	args = append(args, 0, 0, 0, 0, 0, 0)
	_, _, errno := unix.RawSyscall6(number, args[0], args[1], args[2], args[3], args[4], args[5])
	return errno
}
