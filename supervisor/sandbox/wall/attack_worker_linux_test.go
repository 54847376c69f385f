package wall_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall"
	"hermes/supervisor/sandbox/wall/inside"
)

// rightsOfWorkers are attacks of commands that a worker may do: what it has is its own.
func rightsOfWorkers() []string {
	return []string{
		"read memories/MEMORY.md", "read data/state.db", "make a memory", "change a skill", "make a skill", "move a skill", "open a skill to others", "touch a skill",
		"list the home",
	}
}

// attacksOf are the attacks of a worker, or of a command.
func attacksOf(who string) []attack {
	all := attacks()
	if who != "worker" {
		return all
	}
	all = slices.DeleteFunc(all, func(a attack) bool { return slices.Contains(rightsOfWorkers(), a.name) })
	return slices.Concat(all, siblingAttacks(), shimAttacks(), roomAttacks(), networkAttacks())
}

// siblingAttacks are about what is not read, but can be learnt or changed of another
// profile.
func siblingAttacks() []attack {
	bob := func(s *scene) string { return s.at("profiles/bob") }
	diary := func(s *scene) string { return s.at("profiles/bob/workspace/diary") }
	return []attack{
		{"list the home as a worker", func(s *scene) error {
			return shows(s.Home, "data", "memories", "skills", "workspace", "home", "control.sock", "run")
		}},
		{"stat a file of another profile", func(s *scene) error { _, err := os.Stat(diary(s)); return err }},
		{"ask for the file system of another profile", func(s *scene) error { return unix.Statfs(bob(s), new(unix.Statfs_t)) }},
		{"append to a file of another profile", func(s *scene) error { return writes(diary(s)) }},
		{"make a file in another profile", func(s *scene) error { return makes(filepath.Join(bob(s), "workspace/x")) }},
		{"cut a file of another profile", func(s *scene) error { return os.Truncate(diary(s), 1<<10) }},
		{"rename a file of another profile", func(s *scene) error { return os.Rename(diary(s), diary(s)+"2") }},
		{"take a file of another profile", func(s *scene) error { return os.Rename(diary(s), "taken") }},
		{"hard link a file of another profile", func(s *scene) error { return os.Link(diary(s), "linked") }},
		{"open another profile to others", func(s *scene) error { return os.Chmod(diary(s), 0o666) }},
		{"touch a file of another profile", func(s *scene) error { return os.Chtimes(diary(s), time.Now(), time.Now()) }},
		{"mark a file of another profile", func(s *scene) error { return unix.Setxattr(diary(s), "user.mark", []byte("x"), 0) }},
		{"watch a file of another profile", func(s *scene) error {
			fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			if err != nil {
				return err
			}
			_, err = unix.InotifyAddWatch(fd, bob(s), unix.IN_ALL_EVENTS)
			return err
		}},
		{"enter another profile", func(s *scene) error { return unix.Chdir(bob(s)) }},
		{"read a file of another profile by a symbolic link in memories", func(s *scene) error {
			link := s.at("memories/link")
			_ = os.Remove(link)
			if err := os.Symlink(diary(s), link); err != nil {
				return err
			}
			return reads(link)
		}},
		{"make a file in run", func(s *scene) error { return makes(s.at("run/x")) }},
		{"list run", func(s *scene) error { return shows(s.at("run")) }},
		{"read the log", func(s *scene) error { return reads(s.at("logs/worker.log")) }},
		{"make a log", func(s *scene) error { return makes(s.at("logs/x")) }},
		{"write to its own binary", func(s *scene) error { return writes(s.Own) }},
		{"replace its own binary", func(s *scene) error { return os.Rename(s.Own, s.Own+"2") }},
		{"write to its own binary by /proc", func(*scene) error { return writes("/proc/self/exe") }},
	}
}

// ask sends bytes and descriptors to the shim, whatever they are.
func ask(data []byte, fds ...int) (string, error) {
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(wall.ShimFD, data, rights, nil, 0); err != nil {
		return "", err
	}
	answer := make([]byte, 64<<10)
	n, err := unix.Read(wall.ShimFD, answer)
	return string(answer[:max(n, 0)]), err
}

// wish is a request as a worker would send it.
func wish(r inside.Request) []byte {
	data, err := r.Bytes()
	if err != nil {
		panic(err) // none is too long
	}
	return data
}

// refusal is nil if the shim has done what it was asked for.
func refusal(answer string, err error) error {
	if err != nil {
		return err
	}
	said, err := inside.DecodeReply([]byte(answer))
	if err != nil {
		return err
	}
	if said.Error != "" {
		return errors.New(said.Error)
	}
	return nil
}

// shimAttacks are about the one process that may more.
func shimAttacks() []attack {
	null := func() int {
		fd, _ := unix.Open("/dev/null", unix.O_RDWR, 0)
		return fd
	}
	return []attack{
		{"have the shim build another room", func(s *scene) error {
			return refusal(ask(wish(inside.Request{Kind: inside.AskRoom, Room: &inside.Room{
				Layers: inside.Layers{Namespaces: true, Mounts: true}, Writes: []inside.Place{{Source: s.Home, Path: s.Home}},
			}})))
		}},
		{"have the shim start what is no stage", func(*scene) error {
			return refusal(ask(wish(inside.Request{Kind: "run", Stage: &inside.Start{Dir: "/"}})))
		}},
		{"have the shim start a stage outside", func(s *scene) error {
			fd := null()
			if err := refusal(ask(wish(inside.Request{Kind: inside.AskStage, Stage: &inside.Start{Dir: "/old"}}), fd, fd, fd, fd)); err != nil {
				return err
			}
			return nil
		}},
		{"have the shim start a stage with less around it", lessAround},
		{"give the shim too many descriptors", func(*scene) error {
			fds := make([]int, 200)
			for i := range fds {
				fds[i] = null()
			}
			return refusal(ask(wish(inside.Request{Kind: inside.AskStage, Stage: &inside.Start{Dir: "/"}}), fds...))
		}},
		{"tell the shim a long story", func(*scene) error { return refusal(ask([]byte(strings.Repeat(" ", 100<<10)))) }},
		{"have the shim give a variable to its children", func(*scene) error {
			fd := null()
			return refusal(ask(wish(inside.Request{Kind: inside.AskStage, Stage: &inside.Start{Dir: "/", Mark: "X=1\x00LD_PRELOAD=/x"}}), fd, fd, fd, fd))
		}},
		{"trace its shim", func(*scene) error { return unix.PtraceAttach(1) }},
		{"list the descriptors of its shim", func(*scene) error { return shows("/proc/1/fd") }},
		{"see the root of its shim", func(*scene) error { _, err := os.Readlink("/proc/1/root"); return err }},
		{"see the directory of its shim", func(*scene) error { return shows("/proc/1/cwd") }},
		{"see what its shim has in memory", func(*scene) error { return reads2("/proc/1/maps") }},
		{"read the memory of its shim", func(*scene) error {
			return reached(syscallOf(unix.SYS_PROCESS_VM_READV, 1, 0, 0, 0, 0, 0))
		}},
		{"limit its shim", func(*scene) error { return unix.Prlimit(1, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: 1}, nil) }},
		{"have the kernel prefer its shim", func(*scene) error { return writes("/proc/1/oom_score_adj") }},
		{"enter the user namespace of its shim", func(*scene) error { return enter("/proc/1/ns/user") }},
		{"map users into its shim's namespace", func(*scene) error { return writes("/proc/1/uid_map") }},
		{"stop its shim", func(*scene) error {
			if err := unix.Kill(1, unix.SIGKILL); err != nil {
				return err
			}
			// The kernel keeps process 1 from what its own children send.
			return refusal(ask(wish(inside.Request{Kind: "no"})))
		}},
	}
}

// lessAround has the shim start a stage whose plan asks for no layer, with a command
// that wants an io_uring.
func lessAround(s *scene) error {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := refusal(ask(wish(inside.Request{Kind: inside.AskStage, Stage: &inside.Start{Dir: "/"}}), ends[1], null, null, null)); err != nil {
		return err
	}
	told, err := json.Marshal(s)
	if err != nil {
		return err
	}
	plan := inside.Plan{
		Layers: inside.Layers{Processes: true}, Temp: "/tmp", Path: s.Own, Argv: []string{s.Own, "attack", "worker", "io_uring"},
		Env: []string{"SCENE=" + string(told)}, Reads: []inside.Place{{Source: s.Own, Path: s.Own}},
	}
	_ = unix.Close(ends[1])
	conn := os.NewFile(uintptr(ends[0]), "plan")
	if err := inside.WriteMessage(conn, &plan, inside.MaxPlan); err != nil {
		return err
	}
	for range 2 { // that it has started, and how it ended
		var said inside.Answer
		if err := inside.ReadMessage(conn, &said, inside.MaxAnswer); err != nil {
			return err
		}
		if said.Ended && said.Status == 0 {
			return nil
		}
	}
	return errors.New("the command has failed")
}

// roomAttacks are about the walls of the room.
func roomAttacks() []attack {
	unshare := func(name string, flags int) attack {
		return attack{name, func(*scene) error { return unix.Unshare(flags) }}
	}
	call := func(name string, number uintptr, args ...uintptr) attack {
		return attack{name, func(*scene) error { return reached(syscallOf(number, args...)) }}
	}
	return []attack{
		{"find a directory outside by a descriptor", func(s *scene) error {
			for fd := range 256 {
				if file, err := unix.Openat(fd, ".env", unix.O_RDONLY, 0); err == nil {
					return unix.Close(file)
				}
				if file, err := unix.Openat(fd, "../.env", unix.O_RDONLY, 0); err == nil {
					return unix.Close(file)
				}
			}
			return errors.New("none")
		}},
		{"go up from the root", func(s *scene) error { return reads("/../../../.." + s.at(".env")) }},
		{"find what was the root", func(*scene) error { return shows("/old") }},
		{"keep a bounding set", func(*scene) error {
			status, err := os.ReadFile("/proc/thread-self/status")
			for line := range strings.SplitSeq(string(status), "\n") {
				if value, ok := strings.CutPrefix(line, "CapBnd:\t"); ok && strings.Trim(value, "0") != "" {
					return nil
				}
			}
			return errors.Join(err, errors.New("it is empty"))
		}},
		unshare("a network by unshare", unix.CLONE_NEWNET), unshare("processes by unshare", unix.CLONE_NEWPID),
		unshare("System V objects by unshare", unix.CLONE_NEWIPC), unshare("a name by unshare", unix.CLONE_NEWUTS),
		unshare("cgroups by unshare", unix.CLONE_NEWCGROUP), unshare("a time by unshare", unix.CLONE_NEWTIME),
		call("open a file system for a look", unix.SYS_FSPICK, ^uintptr(0), 0, 0), call("mount a file system", unix.SYS_FSMOUNT, ^uintptr(0), 0, 0),
		call("enter an io_uring", unix.SYS_IO_URING_ENTER, ^uintptr(0), 0, 0, 0, 0, 0), call("register with an io_uring", unix.SYS_IO_URING_REGISTER, ^uintptr(0), 0, 0, 0),
		call("ask for a key", unix.SYS_REQUEST_KEY, 0, 0, 0, 0), call("compare processes", unix.SYS_KCMP, 1, 1, 0, 0, 0),
		call("advise another process's memory", unix.SYS_PROCESS_MADVISE, ^uintptr(0), 0, 0, 0, 0), call("keep accounts", unix.SYS_ACCT, 1),
		call("load a module from memory", unix.SYS_INIT_MODULE, 0, 0, 0), call("unload a module", unix.SYS_DELETE_MODULE, 0, 0),
		call("swap", unix.SYS_SWAPON, 1, 0), call("set quotas", unix.SYS_QUOTACTL, 0, 1, 0, 0), call("set the clock", unix.SYS_CLOCK_SETTIME, 0, 1),
		call("set the time", unix.SYS_SETTIMEOFDAY, 1, 1), call("name the domain", unix.SYS_SETDOMAINNAME, 1, 1), call("hang up", unix.SYS_VHANGUP),
		call("open a tree of mounts with attributes", unix.SYS_OPEN_TREE_ATTR, ^uintptr(0), 0, 0, 0, 0),
		{"see a message queue of the machine", func(*scene) error { return shows("/dev/mqueue") }},
		{"write to another process's score", func(s *scene) error { return writes(fmt.Sprintf("/proc/%d/oom_score_adj", s.Victim)) }},
		{"pin a process beside it to a processor", func(s *scene) error {
			var set unix.CPUSet
			set.Set(0)
			return unix.SchedSetaffinity(s.Victim, &set)
		}},
		{"ask for the session of a process beside it", func(s *scene) error { _, err := unix.Getsid(s.Victim); return err }},
		{"count the processes of the machine", func(s *scene) error {
			_, err := os.Stat(fmt.Sprintf("/proc/%d", s.Victim))
			return err
		}},
		{"change a limit of its cgroup", func(*scene) error {
			for _, name := range []string{"memory.max", "pids.max", "memory.limit_in_bytes"} {
				found, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
				deep, _ := filepath.Glob("/sys/fs/cgroup/*/*/" + name)
				for _, path := range append(found, deep...) {
					if writes(path) == nil {
						return nil
					}
				}
			}
			return errors.New("none")
		}},
		{"list /home", func(*scene) error { return shows("/home", "linuxbrew") }},
		{"list /var", func(*scene) error { return shows("/var", "tmp", "lib") }},
		{"list /tmp of the machine", func(s *scene) error { _, err := os.Stat(s.HostTmp); return err }},
		{"make a file in /etc", func(*scene) error { return makes("/etc/hermes-wall-test") }},
		{"make a file in /usr", func(*scene) error { return makes("/usr/hermes-wall-test") }},
		{"make a directory in /", func(*scene) error { return os.Mkdir("/hermes-wall-dir", 0o700) }},
		{"a program with its owner's rights in data", func(s *scene) error {
			var info unix.Statfs_t
			if err := unix.Statfs(s.at("data"), &info); err != nil {
				return err
			}
			if info.Flags&unix.ST_NOSUID != 0 {
				return errors.New("setuid means nothing here")
			}
			return nil
		}},
	}
}
