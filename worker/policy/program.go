package policy

import (
	"path"
	"slices"
	"strings"
)

// program judges a command by its program.
func (w *walker) program(base string, argv []word, in output) output {
	out := w.reads(base, argv, in)
	switch {
	case shell(base):
		return w.runShell(argv, in)
	case interpreter(base):
		w.runCode(argv, in)
		return out
	case w.system(base, argv), w.work(base, argv, in):
		return out
	}
	switch base {
	case "eval":
		if text := joined(argv[1:]); text.text != "" {
			return w.evaluate(argv, text, in)
		}
	case "source", ".":
		if len(argv) > 1 {
			if argv[1].text == "/dev/stdin" {
				return w.runInput(argv, in)
			}
			return w.runFile(argv, argv[1])
		}
	case "trap":
		if _, others := split(argv); len(others) > 1 {
			w.evaluate(argv, others[0], output{})
		}
	case "alias":
		for _, arg := range argv[1:] {
			if _, text, found := strings.Cut(arg.text, "="); found && !arg.unknown {
				w.inScope(func() output { return w.run(text, output{}) })
			}
		}
	case "xargs", "parallel":
		return w.xargs(argv, in)
	case "find", "gfind", "fd", "fdfind":
		return w.findFiles(argv)
	case "ssh":
		w.remoteShell(argv)
	case "cd", "pushd", "popd":
		w.changeDir(argv)
		return output{known: true}
	default:
		return w.writes(base, argv, in, out)
	}
	return out
}

// evaluate judges text that runs in this very shell.
func (w *walker) evaluate(argv []word, text word, in output) output {
	if text.unknown || text.traits&fromNetwork != 0 {
		return w.runText(argv, text, in)
	}
	return w.run(text.text, in)
}

// remoteShell judges the command that ssh runs elsewhere: where that is, the
// paths of this machine mean nothing, and so nothing counts as the agent's.
func (w *walker) remoteShell(argv []word) {
	i := 1
	for ; i < len(argv) && argv[i].flag(); i++ {
		if takesNext(wrapper{values: "BbcDEeFIiJLlmOoPpQRSWw"}, argv[i].text) {
			i++
		}
	}
	if i+1 >= len(argv) {
		w.typed = true
		return
	}
	dirs := w.dirs
	w.dirs = []string{"/home/elsewhere"}
	w.runText(argv, joined(argv[i+1:]), output{})
	w.dirs = dirs
}

// writes judges the programs that change files, and says what others print where
// that matters.
func (w *walker) writes(base string, argv []word, in, out output) output {
	switch base {
	case "rm", "srm", "trash":
		w.remove(argv)
	case "shred", "unlink", "truncate", "tee", "touch":
		_, files := split(argv)
		for _, file := range files {
			w.write(file, finding{argv: argv})
		}
		if base == "tee" {
			w.fetch(files, in)
			return in
		}
	case "rmdir":
	case "cp", "mv", "ln", "install":
		w.copies(base, argv)
	case "rsync":
		w.rsync(argv)
	case "dd":
		w.dd(argv)
	case "sed", "perl", "gsed":
		if options, files := split(argv); has(options, "i", "in-place") {
			for _, file := range files {
				if strings.HasPrefix(file.text, "/") || strings.HasPrefix(file.text, "..") {
					w.write(file, finding{argv: argv})
				}
			}
		}
	case "chmod", "chown", "chgrp", "setfacl", "chattr":
		w.modes(base, argv)
	case "echo", "printf":
		return printed(base, argv)
	case "pwd":
		return output{text: w.dirs[0], known: !strings.Contains(w.dirs[0], hole)}
	case "mktemp":
		return output{text: "/tmp/tmp.x", known: true}
	case "which", "type":
		if len(argv) == 2 && !argv[1].unknown {
			return output{text: argv[1].text, known: true}
		}
	case "true", "false", ":", "test", "[", "sleep", "exit", "return", "set", "shift", "wait", "export", "unset", "mkdir":
		return output{known: true}
	case "cat":
		if len(argv) == 1 {
			return in
		}
	case "grep", "egrep", "fgrep", "head", "tail", "sort", "uniq", "tac":
		out.paths = in.paths
	case "ls", "tree":
		_, files := split(argv)
		for _, file := range files {
			out.paths = append(out.paths, under(file))
		}
		if len(files) == 0 {
			out.paths = []word{under(literal("."))}
		}
	case "base64", "base32", "xxd", "openssl", "gpg", "rev", "tr", "uudecode", "hex":
		out.traits |= fromDecoder
	case "pgrep", "pidof", "lsof", "ps", "fuser", "ss", "netstat":
		out.traits |= fromPIDs
	}
	return out
}

// printed is what echo and printf write.
func printed(base string, argv []word) output {
	var list []string
	for i, arg := range argv[1:] {
		if i == 0 && base == "echo" && (arg.text == "-n" || arg.text == "-e" || arg.text == "-ne" || arg.text == "-en") {
			continue
		}
		if arg.unknown {
			return output{traits: allTraits(argv)}
		}
		list = append(list, arg.text)
	}
	text := strings.Join(list, " ")
	if base == "printf" {
		if len(list) > 1 { // printf '%s' a b: what is put in, in the place of the format
			text = strings.ReplaceAll(list[0], "%s", strings.Join(list[1:], " "))
		}
	}
	if base == "printf" || len(argv) > 1 && strings.HasPrefix(argv[1].text, "-") && strings.Contains(argv[1].text, "e") {
		text = unescapeANSI(text)
	}
	if slices.ContainsFunc(argv, func(arg word) bool { return arg.globAt >= 0 }) {
		return output{traits: allTraits(argv)}
	}
	return output{text: text + "\n", known: true, traits: allTraits(argv)}
}

// reads judges the files that a program reads, and what it gets from or sends to
// the network.
func (w *walker) reads(base string, argv []word, in output) output {
	out := output{traits: allTraits(argv[1:]) | in.traits}
	network := fetches(base)
	switch base {
	case "echo", "printf", "ls", "test", "[", "stat", "mkdir", "touch", "chmod", "chown", "chgrp", "rm", "rmdir", "cd", "pushd", "true", ":",
		"which", "type", "du", "file", "basename", "dirname", "realpath", "readlink", "set", "export", "unset", "trap":
		return out
	}
	deep := reads(base)
	for _, arg := range argv[1:] {
		if strings.ContainsAny(arg.text, " \t\n") && !strings.Contains(arg.text, "/") {
			continue
		}
		file := arg
		if i := strings.LastIndexAny(arg.text, "=@"); i >= 0 && (network || arg.flag() || base == "dd") {
			file = arg.from(i + 1)
		} else if arg.flag() {
			continue
		}
		if !w.read(file, finding{argv: argv}) && deep {
			w.readAll(file, argv)
		}
		if w.secretInside(file) {
			out.traits |= fromSecret
		}
	}
	if !network {
		return out
	}
	if out.traits&fromSecret != 0 && !strings.HasPrefix(base, "git") {
		w.find(Secrets, argv, "it sends what may be secret away")
	}
	out.traits |= fromNetwork
	w.fetch(saved(argv), out)
	return out
}

// fetches reports whether a program talks to the network.
func fetches(base string) bool {
	switch base {
	case "curl", "wget", "wget2", "fetch", "http", "https", "xh", "aria2c", "nc", "ncat", "netcat", "socat", "ftp", "sftp", "scp", "lynx", "w3m",
		"telnet", "rclone":
		return true
	default:
		return false
	}
}

// reads reports whether a program takes a directory with all that is in it.
func reads(base string) bool {
	switch base {
	case "tar", "zip", "7z", "cp", "rsync", "scp", "rclone", "rg", "cpio":
		return true
	default:
		return false
	}
}

// saved are the files that a download is written to.
func saved(argv []word) []word {
	var files []word
	for i, arg := range argv[1:] {
		switch {
		case (arg.text == "-o" || arg.text == "--output" || arg.text == "-O") && i+2 < len(argv):
			files = append(files, argv[i+2])
		case strings.HasPrefix(arg.text, "--output="), strings.HasPrefix(arg.text, "--output-document="):
			_, name, _ := strings.Cut(arg.text, "=")
			files = append(files, literal(name))
		case strings.HasPrefix(arg.text, "-o") && len(arg.text) > 2:
			files = append(files, literal(arg.text[2:]))
		case strings.Contains(arg.text, "://"):
			files = append(files, literal(path.Base(arg.text)))
		}
	}
	return files
}

func (w *walker) fetch(files []word, from output) {
	if from.traits&fromNetwork == 0 {
		return
	}
	for _, file := range files {
		w.fetched[baseName(file.text)] = true
	}
}
