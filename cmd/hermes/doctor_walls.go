package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox/wall"
	"hermes/supervisor/sandbox/wall/attack"
)

// maxNamed is how many attacks that succeed are named for people; --json has all.
const maxNamed = 8

// attacked is what came of attacking the wall.
type attacked struct {
	Around       string   `json:"around"` // commands or workers
	Level        string   `json:"level"`
	Why          string   `json:"why,omitempty"`
	Tried        int      `json:"tried"`
	Succeeded    []string `json:"succeeded"`
	Milliseconds int64    `json:"milliseconds"`
}

// isolation builds the walls that stand around commands and around workers, has them
// attacked from behind, and says what came of it.
func (d *doctor) isolation(ctx context.Context) {
	opts := attack.Options{Home: d.home.Dir()}
	d.now("the walls around commands")
	out, err := attack.Run(ctx, opts)
	d.level = handoff.Walls{Level: string(out.Level), Why: out.Why}
	d.add(wallCheck("commands", out, err))
	d.now("the walls around workers")
	room, err := attack.RunWorker(ctx, opts)
	d.add(wallCheck("workers", room, err))
	if (out.Level != wall.Full || room.Level != wall.Full) && runtime.GOOS == "linux" {
		d.add(check{Name: "kernel", Result: checkNote, Text: kernel()})
	}
}

// wallCheck is what came of attacking from behind a wall.
func wallCheck(around string, out attack.Outcome, err error) check {
	c := check{Name: "walls", Result: checkNote, Text: fmt.Sprintf("level %s for %s", out.Level, around), Mend: mendWalls(out.Report)}
	if out.Why != "" {
		c.Text += ", because " + out.Why
	}
	switch {
	case err != nil:
		c.Result, c.Text = checkProblem, c.Text+"; it could not be attacked: "+oneLine(err)
	case out.Tried == 0:
	default:
		c.Text += fmt.Sprintf("; %d of %d attacks succeed", len(out.Hits), out.Tried)
		c.Attacks = &attacked{
			Around: around, Level: string(out.Level), Why: out.Why, Tried: out.Tried, Succeeded: append([]string{}, out.Hits...), Milliseconds: out.Took.Milliseconds(),
		}
		if len(out.Hits) > 0 {
			c.Text += ": " + some(out.Hits)
		}
		switch {
		case out.Level != wall.Full:
		case len(out.Hits) > 0:
			c.Result, c.Mend = checkProblem, "this should not be; please report it as SECURITY.md says"
		default:
			c.Result = checkOK
		}
	}
	return c
}

// some names a few of many.
func some(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s, and %d more (see --json)", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

// restriction is what Ubuntu keeps namespaces from programs with that it does not know.
const restriction = "kernel/apparmor_restrict_unprivileged_userns"

// mendWalls is how to get what is missing, here.
func mendWalls(r wall.Report) string {
	switch {
	case r.Level == wall.Full || r.Level == wall.Namespaces:
		return r.Mend
	case contained():
		return "in Docker run it with: --security-opt seccomp=unconfined --security-opt systempaths=unconfined --security-opt apparmor=unconfined"
	case sysctl(restriction) == "1":
		return "allow hermes namespaces with: hermes deploy apparmor | sudo tee " + apparmorPlace + " && sudo apparmor_parser -r " + apparmorPlace
	default:
		return r.Mend
	}
}

// contained reports whether this looks like a container.
func contained() bool {
	for _, path := range []string{"/.dockerenv", "/run/.containerenv"} {
		if _, err := os.Stat(path); err == nil {
			return true
		}
	}
	return false
}

// sysctl is a setting of the kernel, "" if it has none of that name.
func sysctl(name string) string {
	data, err := os.ReadFile(filepath.Join("/proc/sys", filepath.FromSlash(name)))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// kernel are the settings of the kernel on which walls depend.
func kernel() string {
	said := []string{"Linux " + sysctl("kernel/osrelease")}
	if modules, err := os.ReadFile("/sys/kernel/security/lsm"); err == nil {
		said = append(said, "security modules "+strings.TrimSpace(string(modules)))
	}
	for _, name := range []string{
		"user/max_user_namespaces", "kernel/unprivileged_userns_clone", restriction, "kernel/yama/ptrace_scope", "kernel/io_uring_disabled",
		"kernel/unprivileged_bpf_disabled", "dev/tty/legacy_tiocsti", "fs/protected_hardlinks", "fs/protected_symlinks",
	} {
		if value := sysctl(name); value != "" {
			said = append(said, strings.ReplaceAll(name, "/", ".")+"="+value)
		}
	}
	return strings.Join(said, ", ")
}

// walls says of a profile that its commands, or its worker, run without walls.
func (d *doctor) walls(name profiles.Name, loaded configs.Loaded) {
	if loaded.Config.Isolation.Tools == configs.Off {
		d.add(check{
			Profile: name, Name: "walls", Result: checkNote, Text: "level NONE: isolation.tools is off, so commands and the worker read and write what your user can",
			Mend: "build the walls with: " + d.commandFor(name, "config", "unset", "isolation.tools"),
		})
	} else if loaded.Config.Isolation.Worker == configs.Off {
		d.add(check{
			Profile: name, Name: "walls", Result: checkNote, Text: "level NONE for its worker: isolation.worker is off, so what takes the worker over reads and writes what your user can",
			Mend: "build the wall with: " + d.commandFor(name, "config", "unset", "isolation.worker"),
		})
	}
}

// together says whether profiles can be served beside each other.
func (d *doctor) together() {
	list, err := d.home.List()
	if d.level.Level == "" || err != nil {
		return
	}
	var served, open []string
	accepted := false
	for _, p := range list {
		loaded, err := d.load(p)
		if err != nil || p.Name == "" || !loaded.Config.APIServer.Enabled {
			continue
		}
		served = append(served, string(p.Name))
		accepted = accepted || loaded.Config.Isolation.Accept == configs.AcceptReading
		if !d.level.Part() || loaded.Config.Isolation.Tools == configs.Off {
			open = append(open, string(p.Name))
		}
	}
	if len(served) < 2 || len(open) == 0 {
		return
	}
	c := check{Name: "walls", Result: checkProblem}
	c.Text = fmt.Sprintf("commands of %s could read the files of the other profiles, so they are not served together", strings.Join(open, ", "))
	c.Mend = "build the walls, or accept it with: " + d.commandFor(profiles.Default, "config", "set", "isolation.accept", configs.AcceptReading)
	if accepted {
		c.Result, c.Mend = checkNote, "see: "+d.commandFor(profiles.Default, "config", "get", "isolation.accept")
		c.Text = fmt.Sprintf("commands of %s can read the files of the other profiles, which is accepted in the home's settings", strings.Join(open, ", "))
	}
	d.add(c)
}
