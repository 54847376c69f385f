package wall_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func fileAttacks() []attack {
	var all []attack
	for _, name := range []string{
		".env", "config.yaml", "SOUL.md", "memories/MEMORY.md", "data/state.db", "logs/worker.log",
		"profiles/bob/.env", "profiles/bob/data/state.db", "profiles/bob/workspace/diary", "../person/.ssh/id_ed25519",
	} {
		all = append(all, attack{"read " + name, func(s *scene) error { return reads(s.at(name)) }})
	}
	return append(all, []attack{
		{"list the home", func(s *scene) error { return shows(s.Home, "workspace", "home", "skills") }},
		{"list profiles", func(s *scene) error { return shows(s.at("profiles")) }},
		{"stat .env", func(s *scene) error { _, err := os.Stat(s.at(".env")); return err }},
		{"read .env by ..", func(*scene) error { return reads("../.env") }},
		{"read .env by a symbolic link", func(s *scene) error {
			_ = os.Remove("link")
			if err := os.Symlink(s.at(".env"), "link"); err != nil {
				return err
			}
			return reads("link")
		}},
		{"read .env by a link that changes", swapping},
		{"hard link .env", func(s *scene) error { return os.Link(s.at(".env"), "hard") }},
		{"read .env by the root of 1", func(s *scene) error { return reads("/proc/1/root" + s.at(".env")) }},
		{"read .env by the directory of 1", func(*scene) error { return reads("/proc/1/cwd/../.env") }},
		{"read .env by the root of the worker", func(s *scene) error { return reads(fmt.Sprintf("/proc/%d/root%s", s.Worker, s.at(".env"))) }},
		{"read .env by a descriptor of the worker", func(s *scene) error { return reads(fmt.Sprintf("/proc/%d/fd/%d", s.Worker, s.Leaked)) }},
		{"read .env by an inherited descriptor", func(s *scene) error {
			for fd := 3; fd < 256; fd++ {
				data := make([]byte, 64)
				if n, _ := unix.Pread(fd, data, 0); n > 0 && bytes.Contains(data[:n], []byte(canary)) {
					return nil
				}
			}
			return errors.New("no descriptor has it")
		}},
		{"read /etc/shadow", func(*scene) error {
			data, err := os.ReadFile("/etc/shadow")
			if err == nil && len(data) == 0 {
				err = io.EOF
			}
			return err
		}},
		{"read a file of the machine's /tmp", func(s *scene) error { return reads(s.HostTmp) }},
		{"read a file of the machine's /dev/shm", func(s *scene) error { return reads(s.HostShm) }},
		{"list /root", func(*scene) error { return shows("/root") }},
		{"list /run", func(*scene) error { return shows("/run", "systemd", "resolvconf", "NetworkManager") }},
		{"list /sys", func(*scene) error { return shows("/sys") }},
		{"list /boot", func(*scene) error { return shows("/boot") }},
		{"read the kernel's memory", func(*scene) error { _, err := os.ReadFile("/dev/mem"); return err }},
		{"read the kernel's log", func(*scene) error { return openOnly("/dev/kmsg") }},
		{"open a handle of a file", func(*scene) error {
			handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, ".", 0)
			if err != nil {
				return err
			}
			fd, err := unix.OpenByHandleAt(unix.AT_FDCWD, handle, unix.O_RDONLY)
			if err == nil {
				_ = unix.Close(fd)
			}
			return err
		}},
	}...)
}

func openOnly(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return file.Close()
}

// swapping changes a link between a file of its own and a secret, and reads.
func swapping(s *scene) error {
	_ = os.WriteFile("own", []byte("own"), 0o600)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			target := []string{"own", s.at(".env")}[i%2]
			_ = os.Remove("swap.new")
			_ = os.Symlink(target, "swap.new")
			_ = os.Rename("swap.new", "swap")
		}
	}()
	for range 2000 {
		if reads("swap") == nil {
			return nil
		}
	}
	return errors.New("never")
}

func writeAttacks() []attack {
	return []attack{
		{"append to config.yaml", func(s *scene) error { return writes(s.at("config.yaml")) }},
		{"append to SOUL.md", func(s *scene) error { return writes(s.at("SOUL.md")) }},
		{"make a memory", func(s *scene) error { return makes(s.at("memories/x")) }},
		{"make a file beside config.yaml", func(s *scene) error { return makes(s.at("x.yaml")) }},
		{"make a profile", func(s *scene) error { return os.Mkdir(s.at("profiles/eve"), 0o700) }},
		{"put something in place of the workspace", func(s *scene) error { return os.Rename(s.at("workspace"), s.at("gone")) }},
		{"change a skill", func(s *scene) error { return writes(s.at("skills/knit/SKILL.md")) }},
		{"make a skill", func(s *scene) error { return os.Mkdir(s.at("skills/purl"), 0o700) }},
		{"move a skill", func(s *scene) error { return os.Rename(s.at("skills/knit"), s.at("skills/knot")) }},
		{"open a skill to others", func(s *scene) error { return os.Chmod(s.at("skills/knit/SKILL.md"), 0o777) }},
		{"touch a skill", func(s *scene) error { return os.Chtimes(s.at("skills/knit/SKILL.md"), time.Now(), time.Now()) }},
		{"write to /etc/passwd", func(*scene) error { return writes("/etc/passwd") }},
		{"make /etc/ld.so.preload", func(*scene) error { return makes("/etc/ld.so.preload") }},
		{"make a program in /usr/local/bin", func(*scene) error { return makes("/usr/local/bin/hermes-wall-test") }},
		{"write to a program in /usr/bin", func(*scene) error { return writes("/usr/bin/env") }},
		{"make a file in /", func(*scene) error { return makes("/hermes-wall-test") }},
		{"make a file in /dev", func(*scene) error { return makes("/dev/hermes-wall-test") }},
		{"write to the binary by 1", func(*scene) error { return writes("/proc/1/exe") }},
		{"write to the binary of the worker", func(s *scene) error { return writes(fmt.Sprintf("/proc/%d/exe", s.Worker)) }},
		{"read the binary by 1", func(*scene) error { return openOnly("/proc/1/exe") }},
	}
}
