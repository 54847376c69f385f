package policy

import (
	"path"
	"slices"
	"strings"
)

// place is where a word leads, as far as that can be told without looking.
type place struct {
	base    string // absolute and clean: what is certain
	pattern string // the part of the name after base that is not certain, "" if all is
	hole    bool   // it is text that is known only when the command runs
	nowhere bool   // nothing is certain
}

// places are where a path may lead, from each directory where the command may be.
func (w *walker) places(file word) []place {
	all := make([]place, 0, len(w.dirs))
	for _, dir := range w.dirs {
		all = append(all, locate(file, dir))
		if strings.HasPrefix(file.text, "/") {
			break
		}
	}
	return all
}

func locate(file word, dir string) place {
	text := file.text
	if !strings.HasPrefix(text, "/") {
		if strings.HasPrefix(text, hole) || strings.Contains(dir, hole) {
			return place{nowhere: true}
		}
		if file.globAt >= 0 {
			file.globAt += len(dir) + 1
		}
		text = dir + "/" + text
	}
	at := strings.Index(text, hole)
	isHole := at >= 0 && (file.globAt < 0 || at < file.globAt)
	if !isHole {
		at = file.globAt
	}
	if at < 0 {
		return place{base: path.Clean(text)}
	}
	from := strings.LastIndexByte(text[:at], '/')
	name, rest, _ := strings.Cut(text[from+1:], "/")
	if slices.Contains(strings.Split(rest, "/"), "..") { // out of something that is not certain
		return place{nowhere: true}
	}
	return place{base: path.Clean(text[:from+1]), pattern: name, hole: isHole}
}

// bare reports whether nothing of the name after base is certain.
func (p place) bare() bool { return strings.Trim(p.pattern, hole+"*?[].!") == "" }

// within reports whether file is in dir, or is it.
func within(file, dir string) bool {
	return dir == "/" || file == dir || strings.HasPrefix(file, dir+"/")
}

// below reports whether file is in dir.
func below(file, dir string) bool { return file != dir && within(file, dir) }

// inWorkspace, inHome and temporary are where an agent keeps its own files.
func (p *Policy) inWorkspace(file string) bool {
	return slices.ContainsFunc(p.workspaces, func(dir string) bool { return within(file, dir) })
}

func (p *Policy) inProfile(file string) bool {
	return slices.ContainsFunc(p.profiles, func(dir string) bool { return within(file, dir) }) && !p.inWorkspace(file) && !within(file, p.home)
}

// holdsAgent reports whether the directory has the workspace or the home in it.
func (p *Policy) holdsAgent(dir string) bool {
	return slices.ContainsFunc(p.workspaces, func(workspace string) bool { return below(workspace, dir) }) || below(p.home, dir)
}

func temporaryDir(dir string) bool {
	switch dir {
	case "/tmp", "/var/tmp", "/private/tmp", "/dev/shm":
		return true
	default:
		return false
	}
}

// temporary reports whether the file is below a directory for such files.
func temporary(file string) bool {
	for dir := path.Dir(file); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if temporaryDir(dir) {
			return true
		}
	}
	return false
}

// systemDir reports whether nothing works any more without the directory.
func systemDir(dir string) bool {
	switch dir {
	case "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root",
		"/run", "/sbin", "/sys", "/usr", "/var", "/usr/bin", "/usr/lib", "/usr/lib64", "/usr/sbin", "/usr/share", "/usr/local",
		"/var/lib", "/var/log", "/Applications", "/Library", "/System", "/Users", "/private", "/private/etc", "/private/var":
		return true
	}
	parent := path.Dir(dir)
	return parent == "/home" || parent == "/Users"
}

// systemFile reports whether the file belongs to the system.
func systemFile(file string) bool {
	if temporary(file) || temporaryDir(file) {
		return false
	}
	for _, dir := range []string{
		"/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var", "/System", "/Library", "/private/etc",
	} {
		if within(file, dir) {
			return true
		}
	}
	return path.Dir(file) == "/"
}

// device reports whether the path is a device that can be spoilt.
func device(file string) bool {
	if !below(file, "/dev") {
		return false
	}
	name := strings.TrimPrefix(file, "/dev/")
	switch name {
	case "null", "zero", "full", "random", "urandom", "stdin", "stdout", "stderr", "tty", "ptmx", "shm":
		return false
	}
	return !strings.HasPrefix(name, "fd/") && !strings.HasPrefix(name, "shm/") && !strings.HasPrefix(name, "pts/") &&
		!strings.HasPrefix(name, "tcp/") && !strings.HasPrefix(name, "udp/")
}

// fate is what a removal would do.
type fate int

const (
	fateInside fate = iota // it stays among the agent's files
	fateOutside
	fateUnknown
	fateRoot // nothing works any more
)

// fateOf judges the removal of a place with all that is in it.
func (p *Policy) fateOf(at place) fate {
	switch {
	case at.nowhere:
		return fateUnknown
	case at.pattern == "":
		return p.fateOfDir(at.base)
	case at.bare() && (systemDir(at.base) || at.base == p.home && !p.inWorkspace(at.base)) && !temporaryDir(at.base):
		return fateRoot
	case at.bare() && p.holdsAgent(at.base):
		return fateRoot
	case at.hole && at.bare():
		// Nothing at all may stand there, so it is the directory itself.
		if fate := p.fateOfDir(at.base); fate != fateOutside {
			return fate
		}
		return fateUnknown
	case p.inWorkspace(at.base), below(at.base, p.home), temporary(at.base):
		return fateInside
	case !at.bare() && (at.base == p.home || temporaryDir(at.base)) && !strings.HasPrefix(at.pattern, "."):
		return fateInside
	default:
		return fateOutside
	}
}

func (p *Policy) fateOfDir(dir string) fate {
	switch {
	case slices.Contains(p.workspaces, dir):
		return fateOutside
	case p.inWorkspace(dir):
		return fateInside
	case dir == p.home, p.holdsAgent(dir):
		return fateRoot
	case p.inProfile(dir):
		return fateOutside
	case below(dir, p.home), temporary(dir):
		return fateInside
	case systemDir(dir):
		return fateRoot
	default:
		return fateOutside
	}
}
