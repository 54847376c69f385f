package wall_test

import (
	"errors"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// dialTimeout is how long an attacker waits for whom it speaks to, on a busy machine.
const dialTimeout = 10 * time.Second

func machineAttacks() []attack {
	return []attack{
		{"make a device", func(*scene) error { return unix.Mknod("device", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))) }},
		{"make a character device", func(*scene) error { return unix.Mknod("memory", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 1))) }},
		{"write core_pattern", func(*scene) error { return writes("/proc/sys/kernel/core_pattern") }},
		{"write modprobe", func(*scene) error { return writes("/proc/sys/kernel/modprobe") }},
		{"press the magic key", func(*scene) error { return writes("/proc/sysrq-trigger") }},
		{"read the kernel's core", func(*scene) error { return openOnly("/proc/kcore") }},
		{"write a release agent", func(*scene) error {
			found, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
			for _, path := range append(found, "/sys/fs/cgroup/release_agent") {
				if writes(path) == nil {
					return nil
				}
			}
			return errors.New("none")
		}},
		{"leave the cgroup", func(*scene) error {
			found, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
			for _, path := range append(found, "/sys/fs/cgroup/cgroup.procs") {
				if writes(path) == nil {
					return nil
				}
			}
			return errors.New("none")
		}},
		{"write to /sys", func(*scene) error { return writes("/sys/kernel/uevent_helper") }},
		{"open a disk", func(*scene) error {
			for _, disk := range []string{"/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/loop0"} {
				if openOnly(disk) == nil {
					return nil
				}
			}
			return errors.New("none")
		}},
		{"open a terminal of the machine", func(*scene) error {
			found, _ := filepath.Glob("/dev/pts/[0-9]*")
			for _, path := range found {
				if openOnly(path) == nil {
					return nil
				}
			}
			return errors.New("none")
		}},
		{"write cores", func(*scene) error {
			return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20})
		}},
		{"raise the limit of files", func(*scene) error {
			return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1 << 17, Max: 1 << 17})
		}},
		{"write a file without an end", func(*scene) error {
			signal.Ignore(unix.SIGXFSZ)
			file, err := os.Create("endless")
			if err != nil {
				return err
			}
			return errors.Join(file.Truncate(1<<40), file.Close(), os.Remove("endless"))
		}},
		{"become somebody else", func(*scene) error { return called(syscallOf(unix.SYS_SETUID, 12345)) }},
		{"change the owner of a file", func(*scene) error {
			_ = os.WriteFile("owned", nil, 0o600)
			return os.Chown("owned", 12345, 12345)
		}},
		{"leave a setuid program", func(*scene) error {
			if os.Getuid() != 0 {
				return errors.New("it would be this user's own")
			}
			var info unix.Statfs_t
			if err := unix.Statfs(".", &info); err != nil || info.Flags&unix.ST_NOSUID != 0 {
				return errors.New("setuid means nothing here")
			}
			return nil
		}},
	}
}

func socketAttacks() []attack {
	open := func(name string, domain, kind, protocol int) attack {
		return attack{name, func(*scene) error {
			fd, err := unix.Socket(domain, kind, protocol)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}}
	}
	dial := func(address string) error {
		conn, err := net.DialTimeout("unix", address, dialTimeout)
		if err != nil {
			return err
		}
		defer conn.Close()
		data, err := io.ReadAll(conn)
		if !strings.Contains(string(data), canary) {
			return errors.Join(err, io.EOF)
		}
		return nil
	}
	return []attack{
		{"speak to the control socket", func(s *scene) error { return dial(s.Socket) }},
		{"speak to an abstract socket", func(s *scene) error { return dial(s.Abstract) }},
		open("a socket of the virtual machine", unix.AF_VSOCK, unix.SOCK_STREAM, 0),
		open("a socket of packets", unix.AF_PACKET, unix.SOCK_DGRAM, 0),
		open("a raw socket", unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP),
		open("a socket of the kernel's cryptography", unix.AF_ALG, unix.SOCK_SEQPACKET, 0),
		open("MPTCP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP),
		open("list all sockets", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG),
		open("audit", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT),
	}
}
