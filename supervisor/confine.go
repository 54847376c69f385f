package supervisor

import (
	"errors"
	"fmt"

	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
)

// outOfMemory is the Cause of an Exit.
const outOfMemory = "oom"

// enclose makes the group that the worker is going to live in, and returns what it
// is told of how its limits are held. Where that goes wrong it has to watch itself.
func (p *process) enclose() handoff.Resources {
	told := p.start.Resources
	told.Mechanism = string(confine.Watched)
	if p.confiner == nil {
		return told
	}
	group, err := p.confiner.Group(fmt.Sprintf("%s-%d", p.start.Profile, p.start.Generation), p.held())
	if err != nil {
		p.output.note(0, "limits are watched by the worker: "+err.Error())
		return told
	}
	if group == nil {
		return told
	}
	p.group = group
	told.Mechanism = string(p.confiner.Mechanism())
	files := group.Files()
	told.MemoryEvents, told.ProcessesEvents = files.Memory, files.Processes
	group.Prepare(p.cmd.SysProcAttr)
	return told
}

// held is what the worker and all that it starts may have.
func (p *process) held() confine.Limits {
	return confine.Limits{Memory: p.start.Resources.Memory, Processes: p.start.Resources.Processes}
}

// admit puts the worker into its group before it is told to do anything.
func (p *process) admit() {
	if err := p.group.Admit(p.pid()); err != nil {
		p.output.note(p.pid(), "worker is not in its cgroup, and has no limits: "+err.Error())
	}
}

// disband ends what is left in the group, and the group.
func (p *process) disband() error {
	err := p.group.Kill()
	p.short = p.group.OutOfMemory()
	return errors.Join(err, p.group.Close())
}

// judgeMemory says of a worker that ended for want of memory that it did.
func (p *process) judgeMemory(exit *Exit) {
	if exit.Code == handoff.ExitMemory || p.short && exit.Signal == "SIGKILL" {
		exit.Cause = outOfMemory
		exit.Reason = p.held().MemoryWords() + ", " + exit.Reason
	}
}

// LimitsHere says how limits would be held by a gateway that this process ran.
func LimitsHere() Isolation {
	c := confine.Find("")
	defer c.Close()
	return isolationOf(c)
}

func isolationOf(c *confine.Confiner) Isolation {
	if c == nil {
		return Isolation{}
	}
	return Isolation{Limits: string(c.Mechanism()), Words: c.Mechanism().Words(), Why: c.Why()}
}
