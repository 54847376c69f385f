package policy

import (
	"slices"
	"strings"
)

// wrapper says how a program that runs another one is written.
type wrapper struct {
	values string   // short options that take a value
	long   []string // long options that take the next word as a value
	skip   int      // words before the command
	assign bool     // NAME=value may stand before the command
}

// wrapperOf returns how to read the words of a program that runs its arguments.
func wrapperOf(base string) (wrapper, bool) {
	switch base {
	case "sudo":
		return wrapper{values: "ughpCTRDrtUac", long: []string{"--user", "--group", "--host", "--prompt", "--chdir", "--chroot", "--close-from", "--role", "--type", "--other-user", "--command-timeout"}, assign: true}, true
	case "doas":
		return wrapper{values: "uCa"}, true
	case "env":
		return wrapper{values: "uC", long: []string{"--unset", "--chdir"}, assign: true}, true
	case "nohup", "setsid", "command", "builtin", "busybox", "toybox", "unbuffer", "fakeroot", "chronic", "ts", "proxychains", "proxychains4", "torsocks", "catchsegv", "dbus-run-session", "winpty", "caffeinate":
		return wrapper{}, true
	case "exec":
		return wrapper{values: "a"}, true
	case "nice":
		return wrapper{values: "n", long: []string{"--adjustment"}}, true
	case "ionice":
		return wrapper{values: "cnpPu", long: []string{"--class", "--classdata"}}, true
	case "timeout", "gtimeout":
		return wrapper{values: "ks", long: []string{"--kill-after", "--signal"}, skip: 1}, true
	case "time":
		return wrapper{values: "fo", long: []string{"--format", "--output"}}, true
	case "stdbuf":
		return wrapper{values: "ioe", long: []string{"--input", "--output", "--error"}}, true
	case "chrt", "taskset", "chroot", "setarch":
		return wrapper{skip: 1}, true
	case "strace", "ltrace":
		return wrapper{values: "abeEIoOpPsSuUX"}, true
	case "unshare", "nsenter", "prlimit", "systemd-inhibit", "firejail", "bwrap", "linux64", "setpriv", "pkexec":
		return wrapper{}, true
	case "xvfb-run":
		return wrapper{values: "efnpsw"}, true
	case "watch":
		return wrapper{values: "nq", long: []string{"--interval"}}, true
	case "flock":
		return wrapper{values: "wE", long: []string{"--timeout", "--wait"}, skip: 1}, true
	default:
		return wrapper{}, false
	}
}

// unwrap finds the command within the words of one that only runs it. rest are
// the words between.
func unwrap(base string, argv []word) (inner, rest []word, wrapped bool) {
	how, wrapped := wrapperOf(base)
	if !wrapped {
		return nil, nil, false
	}
	i := 1
	for ; i < len(argv); i++ {
		text := argv[i].text
		switch {
		case text == "--":
			i++
		case argv[i].flag():
			if takesNext(how, text) {
				i++
			}
			continue
		case how.assign && strings.Contains(text, "=") && !strings.HasPrefix(text, "="):
			continue
		}
		break
	}
	for how.assign && i < len(argv) && strings.Contains(argv[i].text, "=") { // after --
		i++
	}
	i = min(i+how.skip, len(argv))
	return argv[i:], argv[1:i], true
}

// takesNext reports whether the value of an option is the next word.
func takesNext(how wrapper, option string) bool {
	if strings.HasPrefix(option, "--") {
		return slices.Contains(how.long, option)
	}
	// -xyV: the first option that takes a value takes what follows it.
	i := strings.IndexAny(option[1:], how.values)
	return how.values != "" && i >= 0 && i == len(option)-2
}

// wrapped judges a command that runs another one.
func (w *walker) wrapped(base string, argv, inner, rest []word, in output) output {
	switch base {
	case "command", "builtin":
		if len(rest) > 0 && strings.ContainsAny(rest[0].text, "vV") {
			if len(inner) == 1 { // $(command -v rm)
				return output{text: inner[0].text, known: !inner[0].unknown}
			}
			return output{}
		}
	case "sudo", "doas", "pkexec":
		for _, option := range rest {
			if option.text == "-l" || option.text == "-v" || option.text == "-k" {
				return output{}
			}
		}
		if len(inner) == 0 {
			w.find(Accounts, argv, "it opens a shell of another user")
			return output{}
		}
	case "env":
		for i, option := range rest { // -S "rm -rf /" is a command in one word
			text, is := strings.CutPrefix(option.text, "-S")
			if !is {
				text, is = strings.CutPrefix(option.text, "--split-string=")
			}
			switch {
			case is && text != "":
				return w.run(text+" "+joined(inner).text, in)
			case is || option.text == "--split-string":
				return w.runText(argv, joined(append(append([]word{}, rest[i+1:]...), inner...)), in)
			}
		}
	case "watch":
		return w.runText(argv, joined(inner), in)
	case "flock":
		if len(inner) > 1 && (inner[0].text == "-c" || inner[0].text == "--command") {
			return w.runText(argv, inner[1], in)
		}
	}
	if len(inner) == 0 {
		return output{}
	}
	return w.command(inner, in)
}

// xargs judges a command that gets more words from its input.
func (w *walker) xargs(argv []word, in output) output {
	values, replace := "IiLlnPsdEa", ""
	i := 1
	for ; i < len(argv) && argv[i].flag(); i++ {
		text := argv[i].text
		switch {
		case strings.HasPrefix(text, "-I") && len(text) > 2:
			replace = text[2:]
		case text == "-I" && i+1 < len(argv):
			replace = argv[i+1].text
			i++
		case text == "-i" || text == "--replace":
			replace = "{}"
		case strings.HasPrefix(text, "--"):
		case strings.IndexByte(values, text[len(text)-1]) >= 0 && text[len(text)-1] != 'i' && text[len(text)-1] != 'l':
			i++
		}
	}
	inner := argv[min(i, len(argv)):]
	if len(inner) == 0 {
		return output{}
	}
	given := in.paths
	if in.known {
		given = nil
		for field := range strings.FieldsSeq(in.text) {
			if len(given) < maxFields {
				given = append(given, literal(field))
			}
		}
	} else if len(given) == 0 {
		given = []word{unknownWord(in.traits)}
	}
	if shell(baseName(inner[0].text)) && replace == "" && in.traits&fromNetwork != 0 {
		w.find(RemoteCode, argv, "what it runs comes from the network")
	}
	return w.command(fill(inner, replace, given), output{traits: in.traits})
}

// fill puts words in the place of a mark, or at the end.
func fill(argv []word, mark string, given []word) []word {
	var filled []word
	for _, arg := range argv {
		switch {
		case mark == "" || !strings.Contains(arg.text, mark):
			filled = append(filled, arg)
		case arg.text == mark:
			filled = append(filled, given...)
		default:
			for _, one := range given {
				with := arg
				with.text = strings.ReplaceAll(arg.text, mark, one.text)
				with.unknown = arg.unknown || one.unknown
				if i := strings.Index(arg.text, mark); one.globAt >= 0 {
					with.globAt = i + one.globAt
				}
				with.src = arg.text
				filled = append(filled, with)
			}
		}
	}
	if mark == "" {
		filled = append(filled, given...)
	}
	return filled
}

// findFiles judges find, which deletes and runs by itself.
func (w *walker) findFiles(argv []word) output {
	var below []word // something below each place where it looks
	i := 1
	for ; i < len(argv); i++ {
		text := argv[i].text
		if strings.HasPrefix(text, "-") && text != "-" || text == "!" || text == "(" {
			if text == "-L" || text == "-H" || text == "-P" {
				continue
			}
			break
		}
		below = append(below, under(argv[i]))
	}
	if len(below) == 0 {
		below = []word{under(literal("."))}
	}
	if chooses(argv[i:]) {
		for j := range below { // not all of it goes
			below[j].text = strings.TrimSuffix(below[j].text, "*") + "x*"
			below[j].globAt = len(below[j].text) - 1
		}
	}
	for ; i < len(argv); i++ {
		switch argv[i].text {
		case "-delete":
			w.delete(argv, below)
		case "-exec", "-execdir", "-ok", "-okdir":
			end := i + 1
			for end < len(argv) && argv[end].text != ";" && argv[end].text != "+" {
				end++
			}
			w.command(fill(argv[i+1:end], "{}", below), output{})
			i = end
		case "-fprint", "-fprintf", "-fls":
			if i+1 < len(argv) {
				w.write(argv[i+1], finding{argv: argv})
			}
		}
	}
	return output{paths: below}
}

// chooses reports whether find takes only some files.
func chooses(tests []word) bool {
	return slices.ContainsFunc(tests, func(test word) bool {
		switch test.text {
		case "-name", "-iname", "-path", "-ipath", "-wholename", "-regex", "-iregex", "-mtime", "-mmin", "-ctime", "-cmin", "-atime", "-amin",
			"-size", "-newer", "-user", "-empty", "-perm":
			return true
		default:
			return false
		}
	})
}

// under is any file in a directory.
func under(dir word) word {
	file := dir
	file.text = strings.TrimSuffix(dir.text, "/") + "/*"
	if file.globAt < 0 {
		file.globAt = len(file.text) - 1
	}
	return file
}
