package attack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reads succeeds if the canary is in the file.
func (s *scene) reads(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, 64<<10))
	if bytes.Contains(data, []byte(s.Canary)) {
		return nil
	}
	return errors.Join(err, errors.New("the secret is not in it"))
}

// shows succeeds if a directory has an entry besides those.
func shows(dir string, known ...string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !slices.Contains(known, e.Name()) }) {
		return nil
	}
	return errors.New("nothing to see")
}

// opens succeeds if a file can be opened; nothing is done with it.
func opens(path string, flags int) error {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// holds succeeds if a file can be read and is not empty, as one is that is put over it.
func holds(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Read(make([]byte, 1))
	return err
}

// anyOpens succeeds if one of the files that fit can be opened.
func anyOpens(flags int, patterns ...string) error {
	for _, pattern := range patterns {
		found, _ := filepath.Glob(pattern) // the patterns are well-formed
		for _, path := range found {
			if opens(path, flags) == nil {
				return nil
			}
		}
	}
	return errors.New("none")
}

// makes succeeds if a file can be made, which it removes again.
func makes(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(path))
}

// on is an attack on a place of the scene.
func on(name, place string, try func(path string) error) attack {
	return attack{name: name, try: func(s *scene) error { return try(s.at(place)) }}
}

// at is an attack on a place of the machine.
func at(name string, try func() error) attack {
	return attack{name: name, try: func(*scene) error { return try() }}
}

func readings() []attack {
	var all []attack
	for _, name := range secretFiles() {
		all = append(all, attack{name: "read " + name, try: func(s *scene) error { return s.reads(s.at(name)) }})
	}
	return append(all,
		attack{name: "read .env by a symbolic link", try: func(s *scene) error {
			return errors.Join(os.Symlink(s.at(".env"), "link"), s.reads("link"))
		}},
		attack{name: "read .env by a hard link", try: func(s *scene) error { return errors.Join(os.Link(s.at(".env"), "hard"), s.reads("hard")) }},
		attack{name: "read .env by ..", try: func(s *scene) error { return s.reads("../.env") }},
		attack{name: "read .env by the root of the worker", try: func(s *scene) error {
			return s.reads(fmt.Sprintf("/proc/%d/root%s", s.Worker, s.at(".env")))
		}},
		attack{name: "read .env by the root of 1", try: func(s *scene) error { return s.reads("/proc/1/root" + s.at(".env")) }},
		attack{name: "read .env by a descriptor of the worker", try: func(s *scene) error {
			return s.reads(fmt.Sprintf("/proc/%d/fd/%d", s.Worker, s.Leaked))
		}},
		attack{name: "read .env by an inherited descriptor", try: func(s *scene) error { return s.inherited() }},
		attack{name: "read .env while a link changes", try: swapping},
		on("stat .env", ".env", func(path string) error { _, err := os.Stat(path); return err }),
		on("list the home", ".", func(path string) error { return shows(path, "workspace", "home", "skills") }),
		on("list the profiles", "profiles", func(path string) error { return shows(path) }),
		attack{name: "list the true home", try: func(s *scene) error {
			if s.Real == "" {
				return errors.New("there is none")
			}
			return shows(s.Real, filepath.Base(filepath.Dir(s.Home)))
		}},
		attack{name: "read the machine's /tmp", try: func(s *scene) error { return s.reads(s.Temp) }},
		attack{name: "read the machine's shared memory", try: func(s *scene) error { return s.reads(s.Shared) }},
		at("read /etc/shadow", func() error { return holds("/etc/shadow") }),
		at("list /root", func() error { return shows("/root", ".hermes") }),
		at("list /sys", func() error { return shows("/sys") }),
		at("list /boot", func() error { return shows("/boot") }),
		at("read the kernel's memory", func() error { return anyOpens(unix.O_RDONLY, "/dev/mem", "/dev/kmem", "/proc/kcore") }),
		at("read the kernel's log", func() error { return opens("/dev/kmsg", unix.O_RDONLY) }),
	)
}

// inherited looks for the secret in all descriptors that it was born with.
func (s *scene) inherited() error {
	for fd := 3; fd < 256; fd++ {
		data := make([]byte, 256)
		if n, err := unix.Pread(fd, data, 0); err == nil && bytes.Contains(data[:n], []byte(s.Canary)) {
			return nil
		}
	}
	return errors.New("none has it")
}

// swapping changes a link between a file of its own and a secret, and reads.
func swapping(s *scene) error {
	if err := os.WriteFile("own", []byte("own"), 0o600); err != nil {
		return err
	}
	for i := range 200 {
		_ = os.Remove("swap.new")
		_ = os.Symlink([]string{"own", s.at(".env")}[i%2], "swap.new")
		_ = os.Rename("swap.new", "swap")
		if s.reads("swap") == nil {
			return nil
		}
	}
	return errors.New("never")
}

func writings() []attack {
	writes := func(path string) error { return opens(path, unix.O_WRONLY) }
	return []attack{
		on("write to config.yaml", "config.yaml", writes),
		on("write to SOUL.md", "SOUL.md", writes),
		on("write to the database", "data/state.db", writes),
		on("write to another profile's diary", "profiles/bob/workspace/diary", writes),
		on("make a memory", "memories/x", makes),
		on("make a file beside config.yaml", "x.yaml", makes),
		on("make a profile", "profiles/eve", func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Remove(path)) }),
		on("put something in place of the workspace", "workspace", func(path string) error {
			if err := os.Rename(path, path+"-gone"); err != nil {
				return err
			}
			return os.Rename(path+"-gone", path)
		}),
		on("change a skill", "skills/knit/SKILL.md", writes),
		on("make a skill", "skills/purl", func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Remove(path)) }),
		on("open a skill to others", "skills/knit/SKILL.md", func(path string) error { return os.Chmod(path, 0o604) }), //nolint:gosec // that is the attack
		on("touch a skill", "skills/knit/SKILL.md", func(path string) error { return os.Chtimes(path, time.Now(), time.Now()) }),
		at("write to /etc/passwd", func() error { return writes("/etc/passwd") }),
		at("make a file in /etc", func() error { return makes("/etc/hermes-doctor") }),
		at("make a program in /usr/local/bin", func() error { return makes("/usr/local/bin/hermes-doctor") }),
		at("write to a program in /usr/bin", func() error { return writes("/usr/bin/env") }),
		at("make a file in /", func() error { return makes("/hermes-doctor") }),
		at("make a file in /dev", func() error { return makes("/dev/hermes-doctor") }),
		{name: "write to the binary of the worker", try: func(s *scene) error { return writes(fmt.Sprintf("/proc/%d/exe", s.Worker)) }},
		at("write to the binary by itself", func() error { return writes("/proc/self/exe") }),
		at("make a device", func() error { return unix.Mknod("device", unix.S_IFBLK|0o600, int(unix.Mkdev(8, 0))) }), //nolint:gosec // it is small
		at("open a disk", func() error {
			return anyOpens(unix.O_RDONLY, "/dev/vd[a-z]", "/dev/sd[a-z]", "/dev/nvme*n*", "/dev/loop[0-9]")
		}),
		at("open a terminal of the machine", func() error { return anyOpens(unix.O_RDONLY, "/dev/pts/[0-9]*", "/dev/tty[0-9]") }),
		at("write a file without an end", func() error {
			file, err := os.Create("endless")
			if err != nil {
				return err
			}
			return errors.Join(file.Truncate(1<<40), file.Close(), os.Remove("endless"))
		}),
		at("change the owner of a file", func() error {
			return errors.Join(os.WriteFile("owned", nil, 0o600), os.Chown("owned", 12345, 12345))
		}),
		at("leave a setuid program of root", func() error {
			if os.Getuid() != 0 {
				return errors.New("it would be this user's own")
			}
			var info unix.Statfs_t
			if err := unix.Statfs(".", &info); err != nil || info.Flags&unix.ST_NOSUID != 0 {
				return errors.Join(err, syscall.EPERM)
			}
			return nil
		}),
	}
}
