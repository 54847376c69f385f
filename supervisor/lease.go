package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// leaseWait is how long a gateway that is just leaving is waited for.
const leaseWait = 2 * time.Second

// lease is the right to be the gateway of a home for one profile, or for all. It
// ends with the process that holds it, however that ends.
type lease struct{ file *os.File }

// takeLease takes the lease that is kept in the file path. If another process
// has it, the error is a *HeldError without a profile; a holder that does not
// answer any more is given leaseWait to be gone.
func takeLease(ctx context.Context, path string, answers func() bool) (*lease, error) {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = inherit(filepath.Dir(path)) // workers of root are not root, and leave sockets there
	}
	if err != nil {
		return nil, fmt.Errorf("take gateway lock: %w", err)
	}
	file, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take gateway lock: %w", err)
	}
	if err := lock(ctx, file, answers); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	err = file.Truncate(0)
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("take gateway lock: %w", err), file.Close())
	}
	return &lease{file: file}, nil
}

func lock(ctx context.Context, file *os.File, answers func() bool) error {
	until := time.NewTimer(leaseWait)
	defer until.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("take gateway lock: %w", err)
		case answers():
			return &HeldError{PID: holder(file)}
		}
		select {
		case <-again.C:
		case <-until.C:
			return &HeldError{PID: holder(file)}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// holder returns the pid that a held lease's file names, or 0.
func holder(file *os.File) int {
	var text [20]byte
	n, _ := file.ReadAt(text[:], 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return 0
	}
	return pid
}

// release gives the lease up. The file stays: to remove it would let two
// gateways hold two files of the same name.
func (l *lease) release() error { return l.file.Close() }
