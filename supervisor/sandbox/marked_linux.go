package sandbox

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// MarkOf ends the marks in EnvCall of what the process pid starts: its number and
// its birth, which no other process has.
func MarkOf(pid int) string { return fmt.Sprintf("@%d-%d", pid, born(pid)) }

// EndMarked kills what a dead process, that was no child of this one, has left: its
// session, and everything with its mark in the environment. It returns when none of
// that is left; the error says that some outlived ctx.
func EndMarked(ctx context.Context, leader int, mark string) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		pids, err := scanPIDs()
		if err != nil {
			return fmt.Errorf("end what a worker left: %w", err)
		}
		left := 0
		for _, pid := range pids {
			if endMarked(pid, leader, mark) {
				left++
			}
		}
		if left == 0 {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("end what a worker left: %d processes live", left)
		}
	}
}

// endMarked kills a process that belongs to a mark, and reports whether there was
// one. The number is looked up again once the process is pinned.
func endMarked(pid, leader int, mark string) bool {
	if pid == os.Getpid() || !marked(pid, leader, mark) {
		return false
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false // it is gone
	}
	defer unix.Close(fd)
	if !marked(pid, leader, mark) {
		return false
	}
	_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // it is looked for again
	return true
}

func marked(pid, leader int, mark string) bool {
	fields := stat(pid)
	if len(fields) <= statBorn || fields[statState] == "Z" || fields[statState] == "X" {
		return false
	}
	if strings.HasSuffix(Stray{PID: pid}.Env(EnvCall), mark) {
		return true
	}
	// A session outlives its leader, and its number is not given to another process
	// as long as it does: a process of that number would be another session's.
	return fields[statSession] == strconv.Itoa(leader) && gone(leader)
}

func gone(pid int) bool {
	fields := stat(pid)
	return len(fields) <= statBorn || fields[statState] == "Z" || fields[statState] == "X"
}
