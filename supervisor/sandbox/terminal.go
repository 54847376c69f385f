package sandbox

import (
	"errors"
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// The size of a command's terminal. Wide, since programs that break lines make
// them harder to read, not easier.
const (
	terminalRows    = 40
	terminalColumns = 160
)

// openTerminal makes a terminal: ours is the side of the person at it, theirs
// the one of the program.
func openTerminal() (ours, theirs *os.File, err error) {
	blocking, theirs, err := pty.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("make terminal: %w", err)
	}
	defer blocking.Close()
	if err := pty.Setsize(blocking, &pty.Winsize{Rows: terminalRows, Cols: terminalColumns}); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("set size of terminal: %w", err), theirs.Close())
	}
	// The library leaves its descriptor in blocking mode, where neither Close nor
	// a deadline ends a Read or a Write.
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make terminal: %w", err), theirs.Close())
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make terminal: %w", err), unix.Close(fd), theirs.Close())
	}
	return os.NewFile(uintptr(fd), "terminal"), theirs, nil
}
