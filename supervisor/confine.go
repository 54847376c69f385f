package supervisor

import (
	"errors"

	"hermes/supervisor/confine"
	"hermes/supervisor/handoff"
)

// outOfMemory is the Cause of an Exit.
const outOfMemory = "oom"

// hold limits what the worker and all that it starts may have, and returns what it is
// told of how. Where that goes wrong it has to watch itself.
func (p *process) hold() handoff.Resources {
	told := p.start.Resources
	told.Mechanism = string(confine.Watched)
	if p.unheld == nil {
		p.unheld = p.group.Limit(p.held())
	}
	if p.unheld != nil {
		p.output.note(p.pid(), "limits are watched by the worker: "+p.unheld.Error())
		return told
	}
	if p.group == nil {
		return told
	}
	told.Mechanism = string(p.confiner.Mechanism())
	files := p.group.Files()
	told.MemoryEvents, told.ProcessesEvents = files.Memory, files.Processes
	return told
}

// held is what the worker and all that it starts may have.
func (p *process) held() confine.Limits {
	return confine.Limits{Memory: p.start.Resources.Memory, Processes: p.start.Resources.Processes}
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
