package attack

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall"
	"hermes/supervisor/sandbox/wall/inside"
)

// rights are attacks of commands that a worker may do: what it has is its own, and a
// gateway gives it no descriptor that it is not to have.
func rights() []string {
	return []string{
		"read memories/MEMORY.md", "read data/state.db", "write to the database", "make a memory", "change a skill", "make a skill",
		"open a skill to others", "touch a skill", "list the home", "read .env by an inherited descriptor",
	}
}

// ofWorkers are all attacks from a worker.
func ofWorkers(level wall.Level) []attack {
	all := slices.DeleteFunc(attacks(), func(a attack) bool { return slices.Contains(rights(), a.name) })
	all = slices.Concat(all, onSiblings(), onRoom(), onNetworks())
	if level.Spaces() {
		all = append(all, onShim()...)
	}
	return all
}

// onSiblings are about what is not read, but can be learnt or changed of another
// profile. What is changed is changed to what it was.
func onSiblings() []attack {
	const diary = "profiles/bob/workspace/diary"
	return []attack{
		on("list the home as a worker", ".", func(path string) error {
			return shows(path, "data", "memories", "skills", "workspace", "home", "run", "run.sock")
		}),
		on("stat a file of another profile", diary, func(path string) error { _, err := os.Stat(path); return err }),
		on("ask for the file system of another profile", diary, func(path string) error { return unix.Statfs(path, new(unix.Statfs_t)) }),
		on("make a file in another profile", "profiles/bob/workspace/x", makes),
		on("rename a file of another profile", diary, func(path string) error { return os.Rename(path, path) }),
		on("open another profile to others", diary, func(path string) error { return os.Chmod(path, 0o600) }),
		on("touch a file of another profile", diary, func(path string) error { return os.Chtimes(path, time.Now(), time.Now()) }),
		on("mark a file of another profile", diary, func(path string) error {
			return errors.Join(unix.Setxattr(path, "user.hermes-doctor", []byte("x"), 0), unix.Removexattr(path, "user.hermes-doctor"))
		}),
		on("watch another profile", "profiles/bob", func(path string) error {
			fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			if err != nil {
				return err
			}
			_, err = unix.InotifyAddWatch(fd, path, unix.IN_ALL_EVENTS)
			return errors.Join(err, unix.Close(fd))
		}),
		on("enter another profile", "profiles/bob", func(path string) error {
			fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			return errors.Join(unix.Fstatat(fd, ".", new(unix.Stat_t), 0), unix.Close(fd)) // who may not enter gets so far
		}),
		{name: "read another profile by a link among memories", try: func(s *scene) error {
			link := s.at("memories/link")
			err := errors.Join(os.Symlink(s.at(diary), link), s.reads(link))
			return errors.Join(err, os.Remove(link))
		}},
		on("list run", "run", func(path string) error { return shows(path) }),
		on("make a file in run", "run/x", makes),
		on("make a log", "logs/x", makes),
	}
}

// onRoom are about what a worker has that commands have not.
func onRoom() []attack {
	unshare := func(name string, flags int) attack {
		return at(name, func() error { return reached(unix.Unshare(flags)) })
	}
	return []attack{
		{name: "find a directory outside by a descriptor", try: func(s *scene) error {
			for fd := range 256 {
				for _, name := range []string{".env", "../.env", strings.TrimPrefix(s.at(".env"), "/")} {
					if file, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
						return unix.Close(file)
					}
				}
			}
			return errors.New("none")
		}},
		{name: "go up from the root", try: func(s *scene) error { return s.reads("/../../../.." + s.at(".env")) }},
		at("find what was the root", func() error { return shows("/old") }),
		at("keep a bounding set", func() error {
			status, err := os.ReadFile("/proc/thread-self/status")
			for line := range strings.SplitSeq(string(status), "\n") {
				if value, ok := strings.CutPrefix(line, "CapBnd:\t"); ok && strings.Trim(value, "0") != "" {
					return nil
				}
			}
			return errors.Join(err, errors.New("it is empty"))
		}),
		unshare("a network by unshare", unix.CLONE_NEWNET), unshare("processes by unshare", unix.CLONE_NEWPID),
		unshare("System V objects by unshare", unix.CLONE_NEWIPC), unshare("a name by unshare", unix.CLONE_NEWUTS),
		unshare("cgroups by unshare", unix.CLONE_NEWCGROUP), unshare("a time by unshare", unix.CLONE_NEWTIME),
		calling("enter an io_uring", unix.SYS_IO_URING_ENTER, ^uintptr(0)), calling("register with an io_uring", unix.SYS_IO_URING_REGISTER, ^uintptr(0)),
		calling("request a key", unix.SYS_REQUEST_KEY), calling("compare processes", unix.SYS_KCMP, 1, 1),
		calling("advise another process's memory", unix.SYS_PROCESS_MADVISE, ^uintptr(0)), calling("open a file system for a look", unix.SYS_FSPICK, ^uintptr(0)),
		calling("open a tree of mounts with attributes", unix.SYS_OPEN_TREE_ATTR, ^uintptr(0)),
		at("see a message queue of the machine", func() error { return shows("/dev/mqueue") }),
		at("change a limit of its cgroup", func() error {
			return anyOpens(unix.O_WRONLY, "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/*/memory.max", "/sys/fs/cgroup/*/*/memory.max", "/sys/fs/cgroup/*/*/memory.limit_in_bytes")
		}),
		{name: "ask for the session of a process beside it", try: func(s *scene) error { _, err := unix.Getsid(s.Victim); return err }},
		{name: "see that a process is beside it", try: func(s *scene) error { _, err := os.Stat(fmt.Sprintf("/proc/%d", s.Victim)); return err }},
		{name: "list /tmp of the machine", try: func(s *scene) error { _, err := os.Stat(s.Temp); return err }},
		{name: "a program with its owner's rights in data", try: func(s *scene) error {
			var info unix.Statfs_t
			if err := unix.Statfs(s.at("data"), &info); err != nil || info.Flags&unix.ST_NOSUID != 0 {
				return errors.Join(err, errors.New("setuid means nothing there"))
			}
			return nil
		}},
	}
}

// onNetworks are those of a worker that has its connections from others.
func onNetworks() []attack {
	open := func(name string, domain, kind, protocol int) attack {
		return at(name, func() error { return opensSocket(domain, kind, protocol) })
	}
	dial := func(name, network, address string) attack {
		return at(name, func() error {
			conn, err := net.DialTimeout(network, address, time.Second) //nolint:noctx // it is the attack
			if err != nil {
				return err
			}
			return conn.Close()
		})
	}
	return []attack{
		open("a local socket", unix.AF_UNIX, unix.SOCK_STREAM, 0), open("a TCP socket", unix.AF_INET, unix.SOCK_STREAM, 0),
		open("a TCP socket of version 6", unix.AF_INET6, unix.SOCK_STREAM, 0), open("a UDP socket", unix.AF_INET, unix.SOCK_DGRAM, 0),
		open("UDP-Lite", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE), open("SCTP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP),
		open("ask for the routes", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE), open("events of devices", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT),
		open("a socket of Bluetooth", unix.AF_BLUETOOTH, unix.SOCK_RAW, 0), open("a socket of keys", unix.AF_KEY, unix.SOCK_RAW, 2),
		open("a socket of XDP", unix.AF_XDP, unix.SOCK_RAW, 0), open("a socket of CAN", unix.AF_CAN, unix.SOCK_RAW, 1),
		dial("find a way to the machine's metadata", "udp", "169.254.169.254:80"), dial("find a way to a name server", "udp", "192.0.2.53:53"),
		{name: "speak to a port of the machine", try: func(s *scene) error { return s.dials("tcp", s.Port) }},
		at("listen on all addresses", func() error {
			listener, err := net.Listen("tcp", ":0") //nolint:noctx,gosec // it is the attack
			if err != nil {
				return err
			}
			return listener.Close()
		}),
	}
}

// ask sends the shim a request with so many descriptors, whatever it is.
func ask(request []byte, descriptors int) error {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(null)
	var rights []byte
	if descriptors > 0 {
		rights = unix.UnixRights(slices.Repeat([]int{null}, descriptors)...)
	}
	if err := unix.Sendmsg(wall.ShimFD, request, rights, nil, 0); err != nil {
		return err
	}
	answer := make([]byte, 64<<10)
	n, err := unix.Read(wall.ShimFD, answer)
	if err != nil {
		return err
	}
	said, err := inside.DecodeReply(answer[:n])
	if err != nil {
		return err
	}
	if said.Error != "" {
		return errors.New(said.Error)
	}
	return nil
}

// wish is ask for a request as a worker would send it.
func wish(r inside.Request, descriptors int) error {
	data, err := r.Bytes()
	if err != nil {
		return err
	}
	return ask(data, descriptors)
}

// onShim are about the one process that may more: process 1 here.
func onShim() []attack {
	asking := func(name string, request inside.Request, descriptors int) attack {
		return at(name, func() error { return wish(request, descriptors) })
	}
	stage := func(dir, mark string) inside.Request {
		return inside.Request{Kind: inside.AskStage, Stage: &inside.Start{Dir: dir, Mark: mark}}
	}
	of := func(name, file string, flags int) attack {
		return at(name, func() error { return opens(filepath.Join("/proc/1", file), flags) })
	}
	return []attack{
		{name: "have the shim build another room", try: func(s *scene) error {
			return wish(inside.Request{Kind: inside.AskRoom, Room: &inside.Room{
				Layers: inside.Layers{Namespaces: true, Mounts: true}, Writes: []inside.Place{{Source: s.Home, Path: s.Home}},
			}}, 0)
		}},
		asking("have the shim start what is no stage", inside.Request{Kind: "run", Stage: &inside.Start{Dir: "/"}}, 0),
		asking("have the shim start a stage outside", stage("/old", ""), 4),
		asking("give the shim too many descriptors", stage("/", ""), 200),
		at("tell the shim a long story", func() error { return ask([]byte(strings.Repeat(" ", 100<<10)), 0) }),
		asking("have the shim give a variable to its children", stage("/", "X=1\x00LD_PRELOAD=/x"), 4),
		{name: "trace its shim", apart: true, try: func(*scene) error { return unix.PtraceAttach(1) }},
		at("list the descriptors of its shim", func() error { return shows("/proc/1/fd") }),
		at("see the root of its shim", func() error { _, err := os.Readlink("/proc/1/root"); return err }),
		at("see the directory of its shim", func() error { return shows("/proc/1/cwd") }),
		of("see what its shim has in memory", "maps", unix.O_RDONLY), of("open the memory of its shim", "mem", unix.O_RDWR),
		of("have the kernel prefer its shim", "oom_score_adj", unix.O_WRONLY), of("map users into its shim's namespace", "uid_map", unix.O_WRONLY),
		at("read the memory of its shim", func() error { return reached(call(unix.SYS_PROCESS_VM_READV, 1)) }),
		at("limit its shim", func() error { return unix.Prlimit(1, unix.RLIMIT_CORE, &unix.Rlimit{}, nil) }),
		at("slow its shim", func() error { return unix.Setpriority(unix.PRIO_PROCESS, 1, 19) }),
		at("stop its shim", func() error {
			// The kernel keeps process 1 from what its own children send; then it answers.
			if err := unix.Kill(1, unix.SIGKILL); err != nil {
				return err
			}
			if err := unix.Sendmsg(wall.ShimFD, []byte("no"), nil, nil, 0); err != nil {
				return nil //nolint:nilerr // it is gone
			}
			if n, err := unix.Read(wall.ShimFD, make([]byte, 4096)); n == 0 || errors.Is(err, io.EOF) {
				return nil
			}
			return errors.New("it lives")
		}),
	}
}
