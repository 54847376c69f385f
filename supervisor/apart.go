package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hermes/configs"
	"hermes/supervisor/handoff"
)

// proclaim says what this machine has for walls around commands and around workers.
func (f *fleet) proclaim() {
	f.sayLevel("commands of agents", f.walls)
	f.sayLevel("workers", f.workers)
}

// sayLevel says at which level somebody is walled.
func (f *fleet) sayLevel(who string, w handoff.Walls) {
	switch {
	case w.Level == "":
	case w.Level == handoff.LevelFull && w.Why == "":
		f.say(fmt.Sprintf("[Isolation] level %s for %s\n", w.Level, who))
		f.log.Info("walls", "around", who, "level", w.Level)
	default:
		because := ""
		if w.Why != "" {
			because = ", because " + w.Why
		}
		f.say(fmt.Sprintf("[Isolation] level %s for %s%s; what to do about it: hermes doctor\n", w.Level, who, because))
		f.log.Warn("less stands there than there could", "around", who, "level", w.Level, "missing", w.Why, "mend", w.Mend)
	}
}

// survey finds out what there is of both.
func (f *fleet) survey(ctx context.Context, walls func(context.Context) handoff.Walls) {
	var looking sync.WaitGroup
	if walls != nil {
		looking.Go(func() { f.walls = walls(ctx) })
	}
	if f.maker.rooms != nil {
		looking.Go(func() {
			found := f.maker.rooms()
			f.workers = handoff.Walls{Level: string(found.Level), Why: found.Why, Mend: found.Mend}
		})
	}
	looking.Wait()
}

// room is what stands around a worker that was told this.
func (f *fleet) room(i handoff.Isolation) *handoff.Walls {
	w := handoff.Walls{Level: i.Room}
	switch {
	case i.Room == f.workers.Level:
		w = f.workers
	case i.Room != "": // as another gateway has found it
	case i.Worker == configs.Off:
		w = handoff.Walls{Level: handoff.LevelNone, Why: "isolation.worker is off"}
	case i.Tools == configs.Off:
		w = handoff.Walls{Level: handoff.LevelNone, Why: "isolation.tools is off"}
	default:
		return nil // nobody has looked
	}
	return &w
}

// walled takes in what a worker has found around its commands, which it may have done
// before it is ready.
func (f *fleet) walled(m *member, g *generation, p *process, w handoff.Walls) {
	p.walls = w
	if w.Level == f.walls.Level || f.walls.Level == "" {
		return
	}
	m.log.Warn("the walls around this profile's commands are not those of the machine",
		"level", w.Level, "missing", w.Why, "machine", f.walls.Level)
	if g == m.current {
		f.judge(m, w)
	}
}

// judge has the worker that serves leave if it has found less around its commands than
// was to be expected, and others are served beside it.
func (f *fleet) judge(m *member, w handoff.Walls) {
	if w.Level == "" || w.Level == f.walls.Level || f.walls.Level == "" || w.Part() || m.accepted || m.exposed {
		return
	}
	if reason := f.conflict(m, w); reason != "" {
		m.rest(time.Now(), StateBadConfig, reason)
		m.tell()
	}
}

// wallsOf is what commands of a profile with these settings have around them.
func (f *fleet) wallsOf(c configs.Isolation) handoff.Walls {
	if c.Tools == configs.Off {
		return handoff.Walls{Level: handoff.LevelNone, Why: "isolation.tools is off"}
	}
	return f.walls
}

// exposes says why a profile with these settings must not be served beside those
// that are, or nothing. Below REDUCED a command of one reads the files of all: that
// is for whoever owns the home to accept, in words, and for no profile.
func (f *fleet) exposes(m *member, c configs.Isolation) string {
	m.accepted = c.Accept == configs.AcceptReading
	if f.walls.Level == "" || m.accepted {
		m.exposed = false
		return ""
	}
	return f.conflict(m, f.wallsOf(c))
}

// conflict says why a profile whose commands have those walls must not be served
// beside those that are, or nothing.
func (f *fleet) conflict(m *member, own handoff.Walls) string {
	m.exposed = !own.Part()
	for _, other := range f.members {
		switch {
		case other == m || !f.beside(other, m.exposed):
		case m.exposed:
			return exposure(own, fmt.Sprintf("its commands could read the files of profile %s", other.profile.Name))
		case other.exposed:
			return fmt.Sprintf("commands of profile %s, which is served without walls, could read its files; stop that one first, or see: hermes doctor", other.profile.Name)
		}
	}
	switch err := f.neighbours.keep(m.exposed); {
	case errors.Is(err, unix.EWOULDBLOCK) && m.exposed:
		return exposure(own, "another gateway of this home serves a profile, whose files its commands could read")
	case errors.Is(err, unix.EWOULDBLOCK):
		return "another gateway of this home serves a profile without walls, whose commands could read its files; stop that one first"
	case err != nil:
		return err.Error()
	}
	return ""
}

// regard takes workers into account that were there before this program.
func (f *fleet) regard() {
	if f.walls.Level == "" {
		return
	}
	for _, m := range f.members {
		for _, p := range m.running {
			m.exposed = !f.wallsOf(configs.Isolation{Tools: p.start.Isolation.Tools}).Part()
			if err := f.neighbours.keep(m.exposed); err != nil {
				m.log.Warn("a worker that serves already is not kept apart", "error", err)
			}
		}
	}
}

// exposure is a reason in one sentence, with the two ways out.
func exposure(w handoff.Walls, what string) string {
	level := "level " + w.Level
	if w.Why != "" {
		level += ", because " + w.Why
	}
	return fmt.Sprintf("%s (%s); see: hermes doctor, or accept it with: hermes -p %s config set isolation.accept %s",
		what, level, configs.DefaultProfile, configs.AcceptReading)
}

// beside reports whether a member is served, or, where it goes before one that has no
// walls, is about to be.
func (f *fleet) beside(m *member, exposed bool) bool {
	if m.current != nil || m.next != nil || len(m.retiring) > 0 || m.address.listener != nil || m.phase == phaseLaunching {
		return true
	}
	if m.first == nil || !exposed || !m.willing() {
		return false
	}
	c := m.first.loaded.Config
	return m.first.err == nil && c.APIServer.Enabled && f.wallsOf(c.Isolation).Part()
}

// apart makes sure that the only profile to be served can be. Those of several are
// looked at when they are started.
func (s *Supervisor) apart(f *fleet) error {
	if s.only() == "" || f.members[0].first == nil {
		return nil
	}
	m := f.members[0]
	if reason := f.exposes(m, m.first.loaded.Config.Isolation); reason != "" {
		return &ExposedError{Profile: m.profile.Name, Reason: reason}
	}
	return nil
}

// neighbours is a lock that all gateways of a home share, unless one of them serves
// a profile without walls: that one has it alone.
type neighbours struct {
	path string
	file *os.File
	mode int // of flock(2), once file is open
}

func neighboursOf(home string) *neighbours {
	return &neighbours{path: filepath.Join(home, runDir, "walls.lock")}
}

// keep takes the lock, alone or with others. The error is EWOULDBLOCK when others
// have it otherwise.
func (n *neighbours) keep(alone bool) error {
	mode := unix.LOCK_SH
	if alone {
		mode = unix.LOCK_EX
	}
	if n.file != nil && n.mode == mode {
		return nil
	}
	if n.file == nil {
		err := os.MkdirAll(filepath.Dir(n.path), 0o700)
		if err != nil {
			return fmt.Errorf("keep profiles apart: %w", err)
		}
		if n.file, err = os.OpenFile(n.path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
			n.file = nil
			return fmt.Errorf("keep profiles apart: %w", err)
		}
	}
	if err := unix.Flock(int(n.file.Fd()), mode|unix.LOCK_NB); err != nil {
		n.release() // a change of mode that fails has given up the one before
		return fmt.Errorf("keep profiles apart: %w", err)
	}
	n.mode = mode
	return nil
}

func (n *neighbours) release() {
	if n.file != nil {
		_ = n.file.Close()
	}
	n.file, n.mode = nil, 0
}
