package policy

import (
	"path"
	"slices"
	"strings"
)

// split parts the words of a command into options and others. An option with a
// value in the next word leaves it among the others, where it does no harm.
func split(argv []word) (options, others []word) {
	for i, arg := range argv[1:] {
		switch {
		case arg.text == "--":
			return options, append(others, argv[i+2:]...)
		case arg.flag():
			options = append(options, arg)
		default:
			others = append(others, arg)
		}
	}
	return options, others
}

// has reports whether one of the options is among them: a letter, alone or with
// others behind one dash, or a long name, perhaps with a value.
func has(options []word, letters string, long ...string) bool {
	return slices.ContainsFunc(options, func(o word) bool {
		if name, isLong := strings.CutPrefix(o.text, "--"); isLong {
			name, _, _ = strings.Cut(name, "=")
			return slices.ContainsFunc(long, func(l string) bool { return name != "" && (name == l || len(name) > 2 && strings.HasPrefix(l, name)) })
		}
		return strings.ContainsAny(o.text[1:], letters)
	})
}

// remove judges rm.
func (w *walker) remove(argv []word) {
	options, files := split(argv)
	if has(options, "rR", "recursive") {
		w.delete(argv, files)
		return
	}
	for _, file := range files {
		w.write(file, finding{argv: argv})
	}
}

// delete judges the removal of files with all that is in them.
func (w *walker) delete(argv, files []word) {
	worst := fateInside
	for _, file := range files {
		for _, at := range w.places(file) {
			worst = max(worst, w.policy.fateOf(at))
			if device(at.base) {
				w.find(Disk, argv, "it spoils a device")
			}
		}
	}
	switch worst {
	case fateRoot:
		w.find(DeleteRoot, argv, "it removes a directory that everything depends on")
	case fateUnknown:
		w.find(Delete, argv, "what it removes is known only when it runs")
	case fateOutside:
		w.find(Delete, argv, "it removes what is not in the workspace")
	case fateInside:
	}
}

// write judges a file that a command changes. about says which command that is.
func (w *walker) write(file word, about finding) {
	for _, at := range w.places(file) {
		target := at.base
		if at.pattern != "" && !at.hole {
			target = path.Join(at.base, at.pattern)
		}
		switch {
		case at.nowhere:
			continue
		case target == "/proc/sysrq-trigger":
			about.class, about.why = Power, "it stops the machine"
		case device(target) || at.pattern != "" && device(path.Join(at.base, "x")) && !temporary(target):
			about.class, about.why = Disk, "it writes to a device"
		case w.policy.inProfile(target):
			about.class, about.why = OwnSetup, "it changes the agent's own settings or data"
		case w.policy.inWorkspace(target):
			continue
		case path.Base(target) == "authorized_keys" || path.Base(path.Dir(target)) == ".ssh":
			about.class, about.why = Accounts, "it changes who may log in"
		case within(target, w.policy.home):
			continue
		case systemFile(target):
			about.class, about.why = System, "it changes a file of the system"
		default:
			continue
		}
		w.found = append(w.found, about)
		return
	}
}

// copies judges cp, mv, ln and install.
func (w *walker) copies(base string, argv []word) {
	options, files := split(argv)
	if has(options, "t", "target-directory") || len(files) == 0 {
		for _, file := range argv[1:] {
			if !file.flag() {
				w.write(file, finding{argv: argv})
			}
		}
		return
	}
	w.write(files[len(files)-1], finding{argv: argv})
	if base != "mv" {
		return
	}
	for _, file := range files[:len(files)-1] {
		for _, at := range w.places(file) {
			if w.policy.fateOf(at) == fateRoot {
				w.find(DeleteRoot, argv, "it moves a directory that everything depends on")
			}
		}
		w.write(file, finding{argv: argv})
	}
}

// modes judges chmod, chown and the like.
func (w *walker) modes(base string, argv []word) {
	options, files := split(argv)
	recursive := has(options, "R", "recursive")
	first := 0
	if !has(options, "", "reference") {
		first = 1 // the mode or the owner
	}
	if base == "chmod" && len(files) > 0 && setsID(files[0].text) {
		w.find(Permissions, argv, "it lets a program run as another user")
		return
	}
	for _, file := range files[min(first, len(files)):] {
		for _, at := range w.places(file) {
			switch fate := w.policy.fateOf(at); {
			case recursive && fate != fateInside && !slices.Contains(w.policy.workspaces, at.base):
				w.find(Permissions, argv, "it changes owners or modes of all that is in there")
				return
			case !at.nowhere && (systemFile(at.base) || at.base == "/" || w.policy.inProfile(at.base)) && !w.policy.inWorkspace(at.base):
				w.find(Permissions, argv, "it changes the owner or the mode of a file that is not the agent's")
				return
			}
		}
	}
}

// setsID reports whether a mode has the setuid or the setgid bit.
func setsID(mode string) bool {
	mode = strings.TrimLeft(mode, "0")
	if len(mode) == 4 && strings.Trim(mode, "01234567") == "" {
		return mode[0] != '1'
	}
	_, bits, found := strings.Cut(mode, "+")
	return found && strings.Contains(bits, "s") || strings.HasPrefix(mode, "u=") && strings.Contains(mode, "s")
}

// dd judges dd: the file that it writes to.
func (w *walker) dd(argv []word) {
	for _, arg := range argv[1:] {
		if strings.HasPrefix(arg.text, "of=") {
			w.write(arg.from(len("of=")), finding{argv: argv})
		}
	}
}

// rsync judges rsync, which can delete at the place where it copies to.
func (w *walker) rsync(argv []word) {
	options, files := split(argv)
	if len(files) == 0 || strings.Contains(files[len(files)-1].text, ":") {
		return
	}
	target := files[len(files)-1]
	w.write(target, finding{argv: argv})
	for _, option := range options {
		if strings.HasPrefix(option.text, "--del") {
			w.delete(argv, []word{under(target)})
			return
		}
	}
}

// changeDir follows cd.
func (w *walker) changeDir(argv []word) {
	_, to := split(argv)
	target := literal(w.policy.home)
	if len(to) > 0 {
		target = to[0]
	} else if len(argv) > 1 && argv[1].text == "-" {
		target.text = "-"
	}
	before := w.dirs
	if target.text == "-" {
		w.dirs, w.before = w.before, before
		return
	}
	var dirs []string
	for _, at := range w.places(target) {
		switch {
		case at.nowhere, at.hole && at.bare():
			dirs = append(dirs, hole)
		default:
			dirs = append(dirs, path.Join(at.base, strings.NewReplacer(hole, "x", "*", "x", "?", "x").Replace(at.pattern)))
		}
	}
	slices.Sort(dirs)
	w.dirs, w.before = slices.Compact(dirs), before
}
