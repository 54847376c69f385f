package confine

import (
	"os"
	"path/filepath"
	"strconv"
)

// State is a Confiner as it is told to a program that takes this one's place in
// the same process.
func (c *Confiner) State() State {
	if c == nil {
		return State{Mechanism: Watched}
	}
	return State{Mechanism: c.mechanism, Why: c.why, Memory: c.memory, Processes: c.pids}
}

// Resume is the Confiner of a program whose place this one has taken.
func Resume(s State) *Confiner {
	c := &Confiner{mechanism: s.Mechanism, why: s.Why, memory: s.Memory, pids: s.Processes}
	switch s.Mechanism {
	case CgroupV2:
		c.leave = leaveV2(s.Memory)
	case CgroupV1:
		for _, made := range []string{s.Memory, s.Processes} {
			c.leave = append(c.leave, func() { _ = remove(made) })
		}
	case Watched:
	}
	return c
}

// leaveV2 undoes what enterV2 does, the last of it first.
func leaveV2(at string) []func() {
	return []func(){
		func() { _ = remove(filepath.Join(at, ownGroup)) },
		func() { _ = write(at, "cgroup.procs", strconv.Itoa(os.Getpid())) },
		func() { _ = write(at, "cgroup.subtree_control", "-memory -pids") },
	}
}

// State is a Group as it is told to another program.
func (g *Group) State() *GroupState {
	if g == nil {
		return nil
	}
	return &GroupState{Mechanism: g.mechanism, Memory: g.memory, Processes: g.pids, Before: g.before}
}

// ResumeGroup is a group that another program made; nil for nil.
func ResumeGroup(s *GroupState) *Group {
	if s == nil {
		return nil
	}
	return &Group{mechanism: s.Mechanism, memory: s.Memory, pids: s.Processes, before: s.Before}
}
