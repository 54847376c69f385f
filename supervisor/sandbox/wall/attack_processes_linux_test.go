package wall_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func processAttacks() []attack {
	return []attack{
		{"read the variables of 1", func(*scene) error { _, err := os.ReadFile("/proc/1/environ"); return err }},
		{"read the variables of the worker", func(s *scene) error { return reads(fmt.Sprintf("/proc/%d/environ", s.Worker)) }},
		{"read the variables of a process beside it", func(s *scene) error { return reads(fmt.Sprintf("/proc/%d/environ", s.Victim)) }},
		{"read the arguments of a process beside it", func(s *scene) error { return reads(fmt.Sprintf("/proc/%d/cmdline", s.Victim)) }},
		{"find a canary in any process", func(*scene) error {
			paths, _ := filepath.Glob("/proc/[0-9]*/environ")
			for _, path := range paths {
				if data, err := os.ReadFile(path); err == nil && bytes.Contains(data, []byte("SECRET="+canary)) {
					return nil
				}
			}
			return errors.New("none has it")
		}},
		{"open the memory of 1", func(*scene) error { return openOnly("/proc/1/mem") }},
		{"open the memory of the worker", func(s *scene) error { return openOnly(fmt.Sprintf("/proc/%d/mem", s.Worker)) }},
		{"open the maps of the worker", func(s *scene) error { return reads2(fmt.Sprintf("/proc/%d/maps", s.Worker)) }},
		{"open a descriptor of 1", func(*scene) error {
			found, err := filepath.Glob("/proc/1/fd/*")
			for _, path := range found {
				if _, err := os.Readlink(path); err == nil || openOnly(path) == nil {
					return nil
				}
			}
			return errors.Join(err, errors.New("none"))
		}},
		{"list the descriptors of the worker", func(s *scene) error { return shows(fmt.Sprintf("/proc/%d/fd", s.Worker)) }},
		{"kill a process beside it", func(s *scene) error { return unix.Kill(s.Victim, 0) }},
		{"kill the worker", func(s *scene) error { return unix.Kill(s.Worker, 0) }},
		{"signal by pidfd", func(s *scene) error {
			fd, err := unix.PidfdOpen(s.Victim, 0)
			if err != nil {
				return err
			}
			return unix.PidfdSendSignal(fd, 0, nil, 0)
		}},
		{"take a descriptor by pidfd", func(s *scene) error { return pidfdGetfd(s.Worker, s.Leaked) }},
		{"take a descriptor of 1 by pidfd", func(*scene) error { return pidfdGetfd(1, 0) }},
		{"trace a process beside it", func(s *scene) error { return unix.PtraceAttach(s.Victim) }},
		{"trace 1", func(*scene) error { return unix.PtraceAttach(1) }},
		{"be traced", func(*scene) error { return called(syscallOf(unix.SYS_PTRACE, unix.PTRACE_TRACEME)) }},
		{"read memory of the worker", func(s *scene) error {
			return reached(syscallOf(unix.SYS_PROCESS_VM_READV, uintptr(s.Worker), 0, 0, 0, 0, 0))
		}},
		{"write memory of 1", func(*scene) error { return reached(syscallOf(unix.SYS_PROCESS_VM_WRITEV, 1, 0, 0, 0, 0, 0)) }},
		{"limit a process beside it", func(s *scene) error {
			return unix.Prlimit(s.Victim, unix.RLIMIT_CORE, &unix.Rlimit{}, nil)
		}},
		{"slow a process beside it", func(s *scene) error { return unix.Setpriority(unix.PRIO_PROCESS, s.Victim, 19) }},
		{"see a System V segment of the machine", func(s *scene) error { _, err := unix.SysvShmGet(s.ShmKey, 0, 0); return err }},
		{"hold a capability", func(*scene) error {
			status, err := os.ReadFile("/proc/thread-self/status")
			for line := range strings.SplitSeq(string(status), "\n") {
				if name, value, _ := strings.Cut(line, ":\t"); strings.HasPrefix(name, "Cap") && name != "CapBnd" && strings.Trim(value, "0") != "" {
					return nil
				}
			}
			return errors.Join(err, errors.New("none"))
		}},
		{"gain privileges by a program", func(*scene) error {
			on, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
			if on == 1 {
				err = errors.New("no_new_privs is set")
			}
			return err
		}},
	}
}

func reads2(path string) error {
	data, err := os.ReadFile(path)
	if err == nil && len(data) == 0 {
		err = io.EOF
	}
	return err
}

func pidfdGetfd(pid, fd int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	_, err = unix.PidfdGetfd(pidfd, fd, 0)
	return err
}
