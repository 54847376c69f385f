//go:build !linux

package sandbox

import (
	"errors"

	"golang.org/x/sys/unix"
)

// BecomeSubreaper does nothing here: only Linux hands orphans to an ancestor.
func BecomeSubreaper() error { return nil }

func reapsOrphans() bool { return false }

// awaitExit returns when the child pid has ended, and leaves it to be reaped.
func awaitExit(pid int) {
	queue, err := unix.Kqueue()
	if err != nil {
		return
	}
	defer unix.Close(queue)
	var wish unix.Kevent_t
	unix.SetKevent(&wish, pid, unix.EVFILT_PROC, unix.EV_ADD|unix.EV_ONESHOT)
	wish.Fflags = unix.NOTE_EXIT
	for {
		_, err := unix.Kevent(queue, []unix.Kevent_t{wish}, make([]unix.Kevent_t, 1), nil)
		if !errors.Is(err, unix.EINTR) {
			return // also with ESRCH: it has ended already
		}
	}
}

func childless() bool { return true }

func bury(int) bool { return false }

func childPIDs() ([]int, error) { return nil, nil }

func inspect(int) (stray Stray, dead, ok bool) { return Stray{}, false, false }

func born(int) uint64 { return 0 }

// Env returns "": the environment of a process cannot be read here.
func (s Stray) Env(string) string { return "" }

// FirstChild is not known here.
func FirstChild(int) (int, error) { return 0, nil }
