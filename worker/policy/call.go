package policy

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// callExpr judges a simple command.
func (w *walker) callExpr(call *syntax.CallExpr, in output, background bool) output {
	for _, assign := range call.Assigns {
		w.assignment(assign)
	}
	if len(call.Args) == 0 {
		return output{known: true}
	}
	var all output
	for i, argv := range w.argvs(call.Args) {
		if len(argv) == 0 {
			continue
		}
		if background && argv[0].text == "$0" {
			w.find(ForkBomb, argv, "it starts itself without end")
		}
		out := w.command(argv, in)
		if i > 0 {
			out.known = false
		}
		out.traits |= all.traits
		out.paths = append(all.paths, out.paths...)
		all = out
	}
	return all
}

// find notes what belongs to a class.
func (w *walker) find(class Class, argv []word, why string) {
	w.found = append(w.found, finding{class: class, argv: argv, why: why})
}

// command judges the words of a command, whatever they are wrapped in.
func (w *walker) command(argv []word, in output) output {
	w.step()
	if len(argv) == 0 {
		return output{}
	}
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > maxDepth {
		panic(excess{errTooDeep})
	}
	w.seen = append(w.seen, argv)
	name := argv[0]
	if name.unknown || name.globAt >= 0 {
		return w.nameless(argv)
	}
	base := baseName(name.text)
	if w.funcs[base] != nil && name.text == base {
		w.call(base, in)
	}
	if harmless(base, argv) {
		return output{}
	}
	if inner, rest, wrapped := unwrap(base, argv); wrapped {
		return w.wrapped(base, argv, inner, rest, in)
	}
	return w.program(base, argv, in)
}

// nameless judges a command whose program is not known.
func (w *walker) nameless(argv []word) output {
	class, why := Dynamic, "which program this is, is known only when it runs"
	if argv[0].traits&fromNetwork != 0 {
		class, why = RemoteCode, "what it runs comes from the network"
	}
	w.find(class, argv, why)
	// If it is rm, it must not be this.
	from := len(w.found)
	w.remove(append([]word{literal("rm")}, argv[1:]...))
	kept := w.found[:from]
	for _, f := range w.found[from:] {
		if f.class.Floor() {
			f.words = show(argv)
			kept = append(kept, f)
		}
	}
	w.found = kept
	return output{}
}

// harmless reports whether a command only asks what a program does.
func harmless(base string, argv []word) bool {
	if len(argv) != 2 || shell(base) {
		return false
	}
	switch argv[1].text {
	case "--help", "--version", "-V":
		return true
	default:
		return false
	}
}

// call judges the body of a function where it is called.
func (w *walker) call(name string, in output) output {
	w.called[name] = true
	key := name + "()"
	if w.busy[key] {
		return output{}
	}
	w.busy[key] = true
	defer delete(w.busy, key)
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > maxDepth {
		panic(excess{errTooDeep})
	}
	var out output
	for _, body := range w.funcs[name] {
		out.traits |= w.stmt(body, in).traits
	}
	return out
}

// bomb looks for a function that starts itself more than once, or beside itself.
func (w *walker) bomb(decl *syntax.FuncDecl) {
	if decl.Name == nil {
		return
	}
	name := decl.Name.Value
	calls, spawned := 0, false
	syntax.Walk(decl.Body, func(node syntax.Node) bool {
		w.step()
		switch node := node.(type) {
		case *syntax.CallExpr:
			if len(node.Args) > 0 && node.Args[0].Lit() == name {
				calls++
			}
		case *syntax.Stmt:
			spawned = spawned || node.Background
		case *syntax.BinaryCmd:
			spawned = spawned || node.Op == syntax.Pipe || node.Op == syntax.PipeAll
		}
		return true
	})
	if calls > 1 && spawned {
		w.found = append(w.found, finding{class: ForkBomb, words: name + "() { … }", why: "the function starts itself without end"})
	}
}

// shell reports whether a program runs scripts of the kind that is judged here.
func shell(base string) bool {
	switch base {
	case "sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "rbash":
		return true
	default:
		return false
	}
}

// interpreter reports whether a program runs what it reads when it is given no
// file.
func interpreter(base string) bool {
	for _, name := range []string{"python", "perl", "ruby", "node", "php", "lua", "deno", "bun", "osascript", "tclsh", "pwsh"} {
		if base == name || strings.HasPrefix(base, name) && strings.Trim(base[len(name):], "0123456789.") == "" {
			return true
		}
	}
	return false
}

// runShell judges sh, bash and the like.
func (w *walker) runShell(argv []word, in output) output {
	for i := 1; i < len(argv); i++ {
		arg := argv[i]
		switch {
		case arg.unknown && !arg.flag():
			return w.runFile(argv, arg)
		case arg.text == "-o" || arg.text == "+o" || arg.text == "-O" || arg.text == "+O" || arg.text == "--rcfile" || arg.text == "--init-file":
			i++
		case arg.text == "-" || arg.text == "-s" || arg.text == "/dev/stdin":
			return w.runInput(argv, in)
		case arg.text == "--":
		case strings.HasPrefix(arg.text, "--") || strings.HasPrefix(arg.text, "+"):
		case arg.flag() && strings.Contains(arg.text, "c"):
			script := i + 1
			for script < len(argv) && argv[script].flag() {
				if argv[script].text == "-o" {
					script++
				}
				script++
			}
			if script >= len(argv) {
				return output{}
			}
			return w.runText(argv, argv[script], in)
		case arg.flag():
		default:
			return w.runFile(argv, arg)
		}
	}
	return w.runInput(argv, in)
}

// runText judges a word that is a script.
func (w *walker) runText(argv []word, text word, in output) output {
	switch {
	case text.traits&fromNetwork != 0:
		w.find(RemoteCode, argv, "what it runs comes from the network")
	case text.unknown && text.text == hole:
		w.find(Dynamic, argv, "the text that it runs is known only then")
	case text.unknown:
		// Some of it is known. What is not stays a hole in the words.
		return w.run(strings.ReplaceAll(text.text, hole, "${_}"), in)
	default:
		return w.inScope(func() output { return w.run(text.text, in) })
	}
	return output{}
}

// runInput judges a shell that runs what it reads.
func (w *walker) runInput(argv []word, in output) output {
	piped := finding{argv: argv, words: "… | " + show(argv)}
	switch {
	case in.traits&fromNetwork != 0:
		piped.class, piped.why = RemoteCode, "what it runs comes from the network"
		w.found = append(w.found, piped)
	case in.known:
		return w.inScope(func() output { return w.run(in.text, output{}) })
	case in.traits&fromDecoder != 0:
		piped.class, piped.why = Dynamic, "what it runs is decoded only then"
		w.found = append(w.found, piped)
	default:
		w.typed = true
	}
	return output{}
}

// runFile judges the run of a file, which is not read.
func (w *walker) runFile(argv []word, file word) output {
	if file.traits&fromNetwork != 0 || !file.unknown && w.fetched[baseName(file.text)] {
		w.find(RemoteCode, argv, "the file that it runs comes from the network")
	}
	return output{}
}

// runCode judges an interpreter of another language, whose code is not looked
// at.
func (w *walker) runCode(argv []word, in output) output {
	if allTraits(argv)&fromNetwork != 0 {
		w.find(RemoteCode, argv, "what it runs comes from the network")
		return output{}
	}
	for _, arg := range argv[1:] {
		switch {
		case arg.text == "-":
			return w.piped(argv, in)
		case arg.flag():
			if strings.Trim(arg.text, "-") == "c" || arg.text == "-e" || arg.text == "-m" || arg.text == "-r" || arg.text == "-p" {
				return output{}
			}
		default:
			return w.runFile(argv, arg)
		}
	}
	return w.piped(argv, in)
}

// piped judges an interpreter that reads its program.
func (w *walker) piped(argv []word, in output) output {
	if in.traits&fromNetwork != 0 {
		w.found = append(w.found, finding{class: RemoteCode, argv: argv, words: "… | " + show(argv), why: "what it runs comes from the network"})
	}
	return output{}
}
