package wall

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// planFD is the descriptor on which the stage reads its plan and answers.
const planFD = 3

// How large messages may be, in bytes. The kernel gives a program 2 MiB of
// arguments and variables.
const (
	maxPlan   = 8 << 20
	maxAnswer = 8 << 10
)

// layers are the parts of the wall that are to be built.
type layers struct {
	Namespaces bool `json:"namespaces"`
	Mounts     bool `json:"mounts"`
	Processes  bool `json:"processes"`
	Landlock   int  `json:"landlock"` // the ABI, 0 is none
	Seccomp    bool `json:"seccomp"`
	Drop       bool `json:"drop"`
	Close      bool `json:"close"`
	Limits     bool `json:"limits"`
}

// with returns all the parts of both.
func (l layers) with(least layers) layers {
	return layers{
		Namespaces: l.Namespaces || least.Namespaces, Mounts: l.Mounts || least.Mounts, Processes: l.Processes || least.Processes,
		Landlock: max(l.Landlock, least.Landlock), Seccomp: l.Seccomp || least.Seccomp, Drop: l.Drop || least.Drop,
		Close: l.Close || least.Close, Limits: l.Limits || least.Limits,
	}
}

// plan is what the stage is told: a command, and what is to stand around it.
type plan struct {
	Layers layers `json:"layers"`
	// Probe ends the stage when the wall stands.
	Probe bool `json:"probe,omitempty"`

	Path string   `json:"path"`
	Argv []string `json:"argv"`
	Env  []string `json:"env"`
	// Files says which descriptors from 3 on the command gets; the stage has them
	// from 4 on.
	Files    []bool `json:"files,omitempty"`
	Terminal bool   `json:"terminal,omitempty"`
	// Offline is an empty network.
	Offline bool `json:"offline,omitempty"`
	// Proxy is an empty network with a listener in it, which the stage hands out.
	Proxy bool `json:"proxy,omitempty"`

	// System is what is seen of the machine, to read, and Masks is what is hidden
	// inside of it. Reads and Writes are seen all the same. Temp is what /tmp is.
	System []place  `json:"system"`
	Masks  []string `json:"masks,omitempty"`
	Reads  []place  `json:"reads"`
	Writes []place  `json:"writes"`
	Temp   string   `json:"temp"`
}

// place is something to see.
type place struct {
	// Source is where it lies, without symbolic links, Path its name behind the wall.
	Source string `json:"source"`
	Path   string `json:"path"`
	// Link, if set, is what a symbolic link at Path says; there is no Source then.
	Link string `json:"link,omitempty"`
	// within is what Source is a path in, if not the root of the machine.
	within string
}

// answer is what the stage says, once when the command has started or cannot be
// started, and once when it has ended.
type answer struct {
	// Error says what went wrong, at which Step.
	Step  string `json:"step,omitempty"`
	Error string `json:"error,omitempty"`
	// Ended says that the command has ended with Status, as wait(2) has it.
	Ended  bool   `json:"ended,omitempty"`
	Status uint32 `json:"status,omitempty"`
}

// The steps at which a stage fails.
const (
	stepPlan     = "read the plan"
	stepRoot     = "build the root"
	stepNetwork  = "begin the network"
	stepDrop     = "give up capabilities"
	stepLandlock = "apply Landlock"
	stepSeccomp  = "apply seccomp"
	stepCommand  = "start the command"
)

// writeMessage writes a message with its length in front of it.
func writeMessage(to io.Writer, message any, limit int) error {
	data, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(data) > limit {
		return fmt.Errorf("a message has %d bytes, %d are the limit", len(data), limit)
	}
	_, err = to.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...)) //nolint:gosec // it is below the limit
	return err
}

// readMessage reads a message. The error is io.EOF if there is none.
func readMessage(from io.Reader, message any, limit int) error {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(head[:])
	if int64(size) > int64(limit) {
		return fmt.Errorf("a message has %d bytes, %d are the limit", size, limit)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(from, data); err != nil {
		return errors.Join(io.ErrUnexpectedEOF, err)
	}
	if err := json.Unmarshal(data, message); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	return nil
}

// check refuses a plan that makes no sense, before anything is done.
func (p *plan) check() error {
	switch {
	case !p.Probe && (p.Path == "" || len(p.Argv) == 0):
		return errors.New("the plan holds no command")
	case len(p.Files) > maxFiles:
		return fmt.Errorf("the plan has %d descriptors, %d are the limit", len(p.Files), maxFiles)
	}
	for _, seen := range slices.Concat(p.System, p.Reads, p.Writes) {
		if !clean(seen.Path) || seen.Link == "" && !clean(seen.Source) {
			return fmt.Errorf("the plan has the place %q, which is no clean absolute path", seen.Path)
		}
	}
	for _, mask := range p.Masks {
		if !clean(mask) {
			return fmt.Errorf("the plan hides %q, which is no clean absolute path", mask)
		}
	}
	if p.Layers.Mounts && !clean(p.Temp) {
		return fmt.Errorf("the plan has %q as /tmp", p.Temp)
	}
	return nil
}

// maxFiles is how many descriptors a command may get beside the first three.
const maxFiles = 64
