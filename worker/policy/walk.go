package policy

import (
	"maps"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The bounds of the work on one command. Who exceeds them is not judged, and so
// does not run.
const (
	maxSteps = 50_000
	maxDepth = 60 // of scripts in scripts and of functions
	maxNodes = 400
)

// output is what a command writes, or reads, as far as that is known.
type output struct {
	text   string
	known  bool // text is all of it
	paths  []word
	traits trait
}

// walker goes through one command and collects what is in it.
type walker struct {
	policy *Policy
	found  []finding
	seen   [][]word // every command, for the rules that forbid

	dirs    []string // where it may be now; a hole is anywhere
	before  []string // where "cd -" goes
	vars    map[string][]*syntax.Word
	busy    map[string]bool           // variables and functions on their way
	funcs   map[string][]*syntax.Stmt // all of a name
	called  map[string]bool
	fetched map[string]bool // files that came from the network
	typed   bool            // a shell runs what is typed
	depth   int
	nested  int
	steps   int
}

func newWalker(p *Policy, dir string) *walker {
	if dir == "" {
		dir = p.workspaces[0]
	}
	return &walker{
		policy: p, dirs: []string{dir}, before: []string{hole},
		vars: map[string][]*syntax.Word{}, busy: map[string]bool{}, funcs: map[string][]*syntax.Stmt{},
		called: map[string]bool{}, fetched: map[string]bool{},
	}
}

// excess is thrown by whatever finds that the command is too much, and caught by
// script: errors through forty recursive functions would bury what they do.
type excess struct{ err error }

// script judges a command. Its error says why that cannot be done.
func (w *walker) script(command string) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = errBroken // what cannot be judged does not run
			if beyond, ours := cause.(excess); ours {
				err = beyond.err
			}
		}
	}()
	w.run(command, output{})
	return nil
}

func (w *walker) step() {
	if w.steps++; w.steps > maxSteps {
		panic(excess{errTooMuch})
	}
}

// run judges a script in the place where the walker is.
func (w *walker) run(command string, in output) output {
	w.depth++
	defer func() { w.depth-- }()
	if w.depth > maxDepth {
		panic(excess{errTooDeep})
	}
	file, err := parse(command)
	if err != nil {
		panic(excess{err})
	}
	w.collect(file)
	dirs := w.dirs
	out := w.list(file.Stmts, in)
	// What is defined may be called by something that is not seen.
	w.inScope(func() output {
		w.dirs = dirs
		for _, name := range slices.Sorted(maps.Keys(w.funcs)) {
			if !w.called[name] {
				w.call(name, in)
			}
		}
		return output{}
	})
	return out
}

// collect notes all functions and all values of variables.
func (w *walker) collect(file *syntax.File) {
	assign := func(name string, value *syntax.Word) {
		if len(w.vars[name]) <= maxAlternatives {
			w.vars[name] = append(w.vars[name], value)
		}
	}
	syntax.Walk(file, func(node syntax.Node) bool {
		w.step()
		switch node := node.(type) {
		case *syntax.FuncDecl:
			if node.Name != nil {
				w.funcs[node.Name.Value] = append(w.funcs[node.Name.Value], node.Body)
			}
			for _, name := range node.Names {
				w.funcs[name.Value] = append(w.funcs[name.Value], node.Body)
			}
		case *syntax.Assign:
			switch {
			case node.Name == nil || node.Naked:
			case node.Append || node.Index != nil:
				assign(node.Name.Value, nil)
			case node.Array != nil:
				for _, elem := range node.Array.Elems {
					assign(node.Name.Value, elem.Value)
				}
			case node.Value == nil:
				assign(node.Name.Value, &syntax.Word{})
			default:
				assign(node.Name.Value, node.Value)
			}
		case *syntax.WordIter:
			if len(node.Items) == 0 {
				assign(node.Name.Value, nil)
			}
			for _, item := range node.Items {
				assign(node.Name.Value, item)
			}
		case *syntax.ParamExp:
			if node.Exp != nil && node.Param != nil && (node.Exp.Op == syntax.AssignUnset || node.Exp.Op == syntax.AssignUnsetOrNull) {
				assign(node.Param.Value, node.Exp.Word)
			}
		case *syntax.CallExpr:
			for _, name := range readInto(node) {
				assign(name, nil)
			}
		}
		return true
	})
}

// readInto names the variables that a command sets by itself.
func readInto(call *syntax.CallExpr) []string {
	if len(call.Args) == 0 {
		return nil
	}
	var names []string
	switch call.Args[0].Lit() {
	case "read", "mapfile", "readarray", "getopts", "printf":
		for _, arg := range call.Args[1:] {
			if lit := arg.Lit(); lit != "" && syntax.ValidName(lit) {
				names = append(names, lit)
			}
		}
	}
	return names
}

// list judges statements one after the other. What they write together is known
// if each is.
func (w *walker) list(stmts []*syntax.Stmt, in output) output {
	all := output{known: true}
	var text strings.Builder
	for _, stmt := range stmts {
		out := w.stmt(stmt, in)
		text.WriteString(out.text)
		all.known = all.known && out.known
		all.traits |= out.traits
		all.paths = append(all.paths, out.paths...)
	}
	all.text = text.String()
	return all
}

// inScope judges something that cannot change the place of what follows.
func (w *walker) inScope(judge func() output) output {
	dirs, before := w.dirs, w.before
	out := judge()
	w.dirs, w.before = dirs, before
	return out
}

// stmt judges one statement.
func (w *walker) stmt(stmt *syntax.Stmt, in output) output {
	w.step()
	if w.nested++; w.nested > maxNodes {
		panic(excess{errTooDeep})
	}
	defer func() { w.nested-- }()
	var to []word
	for _, redirect := range stmt.Redirs {
		switch redirect.Op {
		case syntax.Hdoc, syntax.DashHdoc:
			in = w.heredoc(redirect)
		case syntax.WordHdoc:
			values := w.value(redirect.Word)
			in = output{text: values[0].text, known: !values[0].unknown, traits: allTraits(values)}
		case syntax.RdrIn:
			in = w.readFrom(w.value(redirect.Word))
		case syntax.DplIn:
			w.value(redirect.Word)
		default:
			targets := w.value(redirect.Word)
			for _, target := range targets {
				w.write(target, finding{words: redirect.Op.String() + " " + target.show()})
			}
			to = append(to, targets...)
		}
	}
	out := w.inShell(stmt, in)
	if out.traits&fromNetwork != 0 {
		for _, target := range to {
			w.fetched[baseName(target.text)] = true
		}
	}
	return out
}

// inShell judges the command of a statement, in a shell of its own if it runs in
// the background.
func (w *walker) inShell(stmt *syntax.Stmt, in output) output {
	if stmt.Background {
		return w.inScope(func() output { return w.cmd(stmt, in) })
	}
	return w.cmd(stmt, in)
}

// heredoc is a document as input. Commands in it run, unless its end is quoted.
func (w *walker) heredoc(redirect *syntax.Redirect) output {
	if redirect.Hdoc == nil {
		return output{known: true}
	}
	if end := redirect.Word.Lit(); end == "" || strings.Contains(end, `\`) {
		var text strings.Builder
		for _, part := range redirect.Hdoc.Parts {
			if lit, ok := part.(*syntax.Lit); ok {
				text.WriteString(lit.Value)
			}
		}
		return output{text: text.String(), known: true}
	}
	var in output
	for _, piece := range w.pieces(redirect.Hdoc.Parts, true)[0] {
		in.text += piece.text
		in.traits |= piece.traits
	}
	in.known = !strings.Contains(in.text, hole)
	return in
}

// readFrom is a file as input.
func (w *walker) readFrom(files []word) output {
	var in output
	for _, file := range files {
		w.read(file, finding{words: "< " + file.show()})
		in.traits |= file.traits
		if w.fetched[baseName(file.text)] {
			in.traits |= fromNetwork
		}
		if w.secretInside(file) {
			in.traits |= fromSecret
		}
	}
	return in
}

func union(a, b []string) []string {
	if slices.Equal(a, b) {
		return b
	}
	const most = 8
	all := slices.Clone(a)
	for _, dir := range b {
		if !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	if len(all) > most {
		return []string{hole}
	}
	return all
}
