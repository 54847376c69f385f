package supervisor

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// carryVariable names the descriptor of the state in the environment of a program
// that takes the place of this one. Workers never see it: see handoff.Environ.
const carryVariable = "HERMES_GATEWAY_STATE"

// canCarry says whether this system lets a gateway become another program.
const canCarry = true

// keptFDs are copies of descriptors that outlive the exec.
type keptFDs struct{ fds []int }

// add copies a descriptor.
func (k *keptFDs) add(c syscall.Conn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("keep descriptor: %w", err)
	}
	var fd int
	var failed error
	err = raw.Control(func(from uintptr) {
		fd, failed = unix.FcntlInt(from, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err := errors.Join(err, os.NewSyscallError("fcntl", failed)); err != nil {
		return 0, fmt.Errorf("keep descriptor: %w", err)
	}
	k.fds = append(k.fds, fd)
	return fd, nil
}

// addData makes a descriptor that data can be read from: memory without a name.
func (k *keptFDs) addData(data []byte) (int, error) {
	fd, err := unix.MemfdCreate("hermes-gateway", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, os.NewSyscallError("memfd_create", err)
	}
	k.fds = append(k.fds, fd)
	for at := 0; at < len(data); {
		n, err := unix.Pwrite(fd, data[at:], int64(at))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, os.NewSyscallError("pwrite", err)
		}
		at += max(n, 0)
	}
	return fd, nil
}

// expose says whether the next program gets the descriptors.
func (k *keptFDs) expose(on bool) error {
	flags := unix.FD_CLOEXEC
	if on {
		flags = 0
	}
	var failed error
	for _, fd := range k.fds {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags); err != nil {
			failed = errors.Join(failed, os.NewSyscallError("fcntl", err))
		}
	}
	return failed
}

// close gives the copies up.
func (k *keptFDs) close() {
	for _, fd := range k.fds {
		_ = unix.Close(fd)
	}
	k.fds = nil
}

// replace makes this process the program exe. It returns only what went wrong; the
// descriptors are closed to others then.
func (k *keptFDs) replace(exec execFunc, exe string, argv, environ []string) error {
	syscall.ForkLock.Lock() // no child of this moment gets any of them
	defer syscall.ForkLock.Unlock()
	err := k.expose(true)
	if err == nil {
		err = exec(exe, argv, environ)
	}
	return errors.Join(err, k.expose(false))
}

// receive reads what addData has written, and closes it.
func receive(number string) ([]byte, error) {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return nil, fmt.Errorf("%s is no descriptor; it is not meant to be set by hand", carryVariable)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil {
		return nil, fmt.Errorf("%s names what is no state of a gateway; it is not meant to be set by hand", carryVariable)
	}
	unix.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "state")
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() > carryLimit {
		return nil, errors.Join(errors.New("state of the gateway cannot be read"), err)
	}
	data := make([]byte, info.Size())
	if _, err := file.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read state of the gateway: %w", err)
	}
	return data, nil
}

// inherited is a descriptor that the program before has left. It is no other
// program's from now on.
func inherited(fd int, name string) (*os.File, error) {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("take over %s: %w", name, os.NewSyscallError("fcntl", err))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// inheritedPipe is one that can be read with a deadline.
func inheritedPipe(fd int, name string) (*os.File, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("take over %s: %w", name, os.NewSyscallError("fcntl", err))
	}
	return inherited(fd, name)
}

// inheritedListener is a listener of either kind.
func inheritedListener(fd int, name string) (net.Listener, error) {
	file, err := inherited(fd, name)
	if err != nil {
		return nil, err
	}
	ln, err := net.FileListener(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("take over %s: %w", name, err)
	}
	return ln, nil
}
