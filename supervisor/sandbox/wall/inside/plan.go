package inside

import (
	"errors"
	"path"
	"slices"
	"strconv"
)

// PlanFD is the descriptor on which the stage reads its plan and answers.
const PlanFD = 3

// How large messages may be, in bytes. The kernel gives a program 2 MiB of
// arguments and variables.
const (
	MaxPlan   = 8 << 20
	MaxAnswer = 8 << 10
)

// Layers are the parts of the wall that are to be built.
type Layers struct {
	Namespaces, Mounts, Processes bool
	Landlock                      int // the ABI, 0 is none
	Seccomp, Drop, Close, Limits  bool
}

func (l *Layers) fields(w *wire) {
	for _, layer := range l.flags() {
		w.flag(layer)
	}
	w.integer(&l.Landlock)
}

func (l *Layers) flags() []*bool {
	return []*bool{&l.Namespaces, &l.Mounts, &l.Processes, &l.Seccomp, &l.Drop, &l.Close, &l.Limits}
}

// argument is the layers as an argument of a program.
func (l *Layers) argument() string {
	var said []byte
	for _, layer := range l.flags() {
		said = append(said, '0'+flagByte(*layer))
	}
	return string(said) + strconv.Itoa(l.Landlock)
}

// parseLayers is the contrary of argument.
func parseLayers(said string) (l Layers, err error) {
	flags := l.flags()
	if len(said) <= len(flags) {
		return l, errMessage
	}
	for i, layer := range flags {
		if *layer = said[i] == '1'; said[i] != '0' && said[i] != '1' {
			return l, errMessage
		}
	}
	l.Landlock, err = strconv.Atoi(said[len(flags):])
	return l, err
}

// with returns all the parts of both.
func (l *Layers) with(least Layers) Layers {
	return Layers{
		Namespaces: l.Namespaces || least.Namespaces, Mounts: l.Mounts || least.Mounts, Processes: l.Processes || least.Processes,
		Landlock: max(l.Landlock, least.Landlock), Seccomp: l.Seccomp || least.Seccomp, Drop: l.Drop || least.Drop,
		Close: l.Close || least.Close, Limits: l.Limits || least.Limits,
	}
}

// Plan is what the stage is told: a command, and what is to stand around it.
type Plan struct {
	Layers Layers
	// Probe ends the stage when the wall stands.
	Probe bool

	Path      string
	Argv, Env []string
	// Files says which descriptors from 3 on the command gets; the stage has them
	// from 4 on.
	Files    []bool
	Terminal bool
	// Offline is an empty network.
	Offline bool
	// Proxy is an empty network with a listener in it, which the stage hands out.
	Proxy bool

	// System is what is seen of the machine, to read, and Masks is what is hidden
	// inside of it. Reads and Writes are seen all the same. Temp is what /tmp is.
	System        []Place
	Masks         []string
	Reads, Writes []Place
	Temp          string
}

func (p *Plan) fields(w *wire) {
	p.Layers.fields(w)
	w.flag(&p.Probe)
	w.text(&p.Path)
	list(w, &p.Argv, (*wire).text)
	list(w, &p.Env, (*wire).text)
	list(w, &p.Files, (*wire).flag)
	for _, yes := range []*bool{&p.Terminal, &p.Offline, &p.Proxy} {
		w.flag(yes)
	}
	list(w, &p.System, placeFields)
	list(w, &p.Masks, (*wire).text)
	list(w, &p.Reads, placeFields)
	list(w, &p.Writes, placeFields)
	w.text(&p.Temp)
}

// Place is something to see.
type Place struct {
	// Source is where it lies, without symbolic links, Path its name behind the wall.
	Source, Path string
	// Link, if set, is what a symbolic link at Path says; there is no Source then.
	Link string
	// within is what Source is a path in, if not the root of the machine.
	within string
}

func placeFields(w *wire, p *Place) {
	for _, s := range []*string{&p.Source, &p.Path, &p.Link} {
		w.text(s)
	}
}

// Answer is what the stage says, once when the command has started or cannot be
// started, and once when it has ended.
type Answer struct {
	// Error says what went wrong, at which Step.
	Step, Error string
	// Ended says that the command has ended with Status, as wait(2) has it.
	Ended  bool
	Status uint32
}

func (a *Answer) fields(w *wire) {
	w.text(&a.Step)
	w.text(&a.Error)
	w.flag(&a.Ended)
	w.number(&a.Status)
}

// The steps at which a stage fails.
const (
	StepPlan     = "read the plan"
	StepRoot     = "build the root"
	StepNetwork  = "begin the network"
	StepDrop     = "give up capabilities"
	StepLandlock = "apply Landlock"
	StepSeccomp  = "apply seccomp"
	StepCommand  = "start the command"
)

// failure is a step that went wrong.
type failure struct {
	step string
	err  error
}

func (f *failure) Error() string { return f.step + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// check refuses a plan that makes no sense, before anything is done.
func (p *Plan) check() error {
	switch {
	case !p.Probe && (p.Path == "" || len(p.Argv) == 0):
		return errors.New("the plan holds no command")
	case len(p.Files) > MaxFiles:
		return tooMany("plan", len(p.Files))
	}
	for _, seen := range slices.Concat(p.System, p.Reads, p.Writes) {
		if !Clean(seen.Path) || seen.Link == "" && !Clean(seen.Source) {
			return errors.New("the plan has the place " + strconv.Quote(seen.Path) + ", which is no clean absolute path")
		}
	}
	for _, mask := range p.Masks {
		if !Clean(mask) {
			return errors.New("the plan hides " + strconv.Quote(mask) + ", which is no clean absolute path")
		}
	}
	if p.Layers.Mounts && !Clean(p.Temp) {
		return errors.New("the plan has " + strconv.Quote(p.Temp) + " as /tmp")
	}
	return nil
}

// MaxFiles is how many descriptors a command may get beside the first three.
const MaxFiles = 64

func tooMany(what string, descriptors int) error {
	return errors.New("the " + what + " has " + strconv.Itoa(descriptors) + " descriptors, " + strconv.Itoa(MaxFiles) + " are the limit")
}

// Clean reports whether name is absolute and as path.Clean would have it, and
// not the root.
func Clean(name string) bool {
	return path.IsAbs(name) && path.Clean(name) == name && name != "/"
}

// Within reports whether a path is dir or lies in it.
func Within(name, dir string) bool {
	return name == dir || dir == "/" || len(name) > len(dir) && name[:len(dir)] == dir && name[len(dir)] == '/'
}
