package policy

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The bounds of what one word may become.
const (
	maxAlternatives = 16
	maxFields       = 64
)

// argvs are what the words of a command may become: each alternative of each word
// is in at least one of them.
func (w *walker) argvs(words []*syntax.Word) [][]word {
	parts := make([][][]word, len(words))
	most := 1
	for i, word := range words {
		parts[i] = w.alternatives(word)
		most = max(most, len(parts[i]))
	}
	all := make([][]word, 0, most)
	for n := range most {
		var argv []word
		for _, part := range parts {
			argv = append(argv, part[min(n, len(part)-1)]...)
		}
		all = append(all, argv)
	}
	return all
}

// alternatives are the words that one word may become.
func (w *walker) alternatives(syn *syntax.Word) [][]word {
	if lit := syn.Lit(); lit != "" && !strings.ContainsAny(lit, "\\*?[{~") { // most words
		return [][]word{{literal(lit)}}
	}
	split := *syn // the original can still be printed
	syntax.SplitBraces(&split)
	var all [][]word
	for _, braced := range braces(split.Parts) {
		for _, pieces := range w.pieces(braced, false) {
			if len(all) < maxAlternatives {
				list := fields(pieces)
				for i := range list {
					if list[i].unknown {
						list[i].src = source(syn)
					}
				}
				all = append(all, list)
			}
		}
	}
	if !hasBraces(split.Parts) {
		return all
	}
	// All elements of braces stand beside each other.
	var beside []word
	for _, list := range all {
		beside = append(beside, list...)
	}
	return [][]word{beside}
}

// value is the text that a word becomes where nothing is split: an assignment, a
// redirection.
func (w *walker) value(syn *syntax.Word) []word {
	if syn == nil {
		return []word{literal("")}
	}
	var all []word
	for _, pieces := range w.pieces(syn.Parts, false) {
		one := word{globAt: -1}
		var b strings.Builder
		for _, p := range pieces {
			if i := strings.IndexAny(p.text, "*?["); i >= 0 && !p.quoted && one.globAt < 0 {
				one.globAt = b.Len() + i
			}
			b.WriteString(p.text)
			one.traits |= p.traits
		}
		one.text = b.String()
		if one.unknown = strings.Contains(one.text, hole); one.unknown {
			one.src = source(syn)
		}
		all = append(all, one)
	}
	return all
}

// source is a word as it was written.
func source(syn *syntax.Word) string {
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, syn); err != nil {
		return "…"
	}
	return b.String()
}

func hasBraces(parts []syntax.WordPart) bool {
	return slices.ContainsFunc(parts, func(p syntax.WordPart) bool { _, is := p.(*syntax.BraceExp); return is })
}

// braces multiplies out the first braces of a word, and so all of them.
func braces(parts []syntax.WordPart) [][]syntax.WordPart {
	i := slices.IndexFunc(parts, func(p syntax.WordPart) bool { _, is := p.(*syntax.BraceExp); return is })
	if i < 0 {
		return [][]syntax.WordPart{parts}
	}
	brace, _ := parts[i].(*syntax.BraceExp)
	var all [][]syntax.WordPart
	for _, rest := range braces(parts[i+1:]) {
		elems := brace.Elems
		if brace.Sequence {
			elems = elems[:1] // {1..9}: none of them is a path of its own
		}
		for _, elem := range elems {
			for _, middle := range braces(elem.Parts) {
				if len(all) < maxFields {
					all = append(all, slices.Concat(parts[:i], middle, rest))
				}
			}
		}
	}
	return all
}

// pieces are the alternatives of the parts of a word.
func (w *walker) pieces(parts []syntax.WordPart, quoted bool) [][]piece {
	all := [][]piece{nil}
	for i, part := range parts {
		w.step()
		values := w.part(part, quoted, i == 0)
		if len(values) == 1 {
			for n := range all {
				all[n] = append(all[n], values[0]...)
			}
			continue
		}
		var next [][]piece
		for _, one := range values {
			for _, before := range all {
				if len(next) < maxAlternatives {
					next = append(next, append(slices.Clip(before), one...))
				}
			}
		}
		all = next
	}
	return all
}

func (w *walker) part(part syntax.WordPart, quoted, first bool) [][]piece {
	switch part := part.(type) {
	case *syntax.Lit:
		if quoted {
			return [][]piece{{{text: unescapeQuoted(part.Value), quoted: true}}}
		}
		value := part.Value
		if first && strings.HasPrefix(value, "~") {
			value = w.tilde(value)
		}
		return [][]piece{unescape(value)}
	case *syntax.SglQuoted:
		text := part.Value
		if part.Dollar {
			text = unescapeANSI(text)
		}
		return [][]piece{{{text: text, quoted: true}}}
	case *syntax.DblQuoted:
		all := w.pieces(part.Parts, true)
		for i := range all { // "" is a word too
			all[i] = append(all[i], piece{quoted: true})
		}
		return all
	case *syntax.ParamExp:
		return w.expansions(w.parameter(part), quoted)
	case *syntax.CmdSubst:
		return w.expansions(w.substitution(part.Stmts), quoted)
	case *syntax.ProcSubst:
		out := w.inScope(func() output { return w.list(part.Stmts, output{}) })
		return [][]piece{{{text: "/dev/fd/63", quoted: true, traits: out.traits}}}
	case *syntax.ArithmExp:
		w.inside(part)
		return [][]piece{{{text: "0", quoted: true}}}
	case *syntax.ExtGlob:
		return [][]piece{{{text: "*"}}}
	default:
		w.inside(part)
		return [][]piece{{{text: hole, quoted: quoted}}}
	}
}

func (w *walker) expansions(values []word, quoted bool) [][]piece {
	all := make([][]piece, 0, len(values))
	for _, v := range values {
		all = append(all, []piece{{text: v.text, quoted: quoted, split: !quoted, traits: v.traits}})
	}
	return all
}

// tilde puts in the home.
func (w *walker) tilde(value string) string {
	name, rest, slash := strings.Cut(value[1:], "/")
	dir := "/home/" + name
	switch name {
	case "":
		dir = w.variable("HOME")[0].text
	case "root":
		dir = "/root"
	case "+":
		dir = w.dirs[0]
	case "-":
		dir = hole
	}
	if slash {
		return dir + "/" + rest
	}
	return dir
}

// substitution is the output of commands, where it can be known.
func (w *walker) substitution(stmts []*syntax.Stmt) []word {
	out := w.inScope(func() output { return w.list(stmts, output{}) })
	if out.known {
		text := literal(strings.TrimRight(out.text, "\n"))
		text.traits = out.traits
		return []word{text}
	}
	return []word{unknownWord(out.traits)}
}

// parameter is the values that a variable may have.
func (w *walker) parameter(p *syntax.ParamExp) []word {
	if p.Param == nil || p.Excl || p.Names != 0 || p.NestedParam != nil {
		w.inside(p)
		return []word{unknownWord(0)}
	}
	if p.Length || p.Width || p.IsSet {
		return []word{literal("0")}
	}
	values := w.variable(p.Param.Value)
	if p.Slice != nil || p.Repl != nil {
		w.inside(p)
		return []word{unknownWord(allTraits(values))}
	}
	if p.Exp == nil {
		return values
	}
	given := w.value(p.Exp.Word)
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		if !w.assigned(p.Param.Value) { // nothing of the environment is in a command's
			return given
		}
		return append(slices.Clip(values), given...)
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		return append(given, literal(""))
	case syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		return values
	}
	changed := make([]word, 0, len(values))
	for _, v := range values {
		changed = append(changed, change(v, p.Exp.Op, given[0]))
	}
	return changed
}

// change is what an operator makes of a value.
func change(v word, op syntax.ParExpOperator, given word) word {
	if v.unknown {
		return v
	}
	plain := !given.unknown && !strings.ContainsAny(given.text, `*?[\`)
	switch {
	case op == syntax.LowerAll:
		v.text = strings.ToLower(v.text)
	case op == syntax.UpperAll:
		v.text = strings.ToUpper(v.text)
	case plain && (op == syntax.RemSmallSuffix || op == syntax.RemLargeSuffix):
		v.text = strings.TrimSuffix(v.text, given.text)
	case plain && (op == syntax.RemSmallPrefix || op == syntax.RemLargePrefix):
		v.text = strings.TrimPrefix(v.text, given.text)
	default:
		return unknownWord(v.traits)
	}
	return v
}

func allTraits(words []word) (all trait) {
	for _, w := range words {
		all |= w.traits
	}
	return all
}

// assigned reports whether the command itself gives the variable a value.
func (w *walker) assigned(name string) bool {
	_, known := w.vars[name]
	return known || strings.ContainsAny(name, "0123456789@*#?-$!") && len(name) == 1
}

// variable is the values that a variable may have: all that are assigned to it
// anywhere in the command.
func (w *walker) variable(name string) []word {
	switch name {
	case "?", "#", "RANDOM", "LINENO", "SECONDS", "UID", "EUID", "PPID", "SHLVL", "BASHPID", "COLUMNS", "LINES":
		return []word{literal("0")}
	case "$", "!":
		return []word{literal("$" + name)} // its own process, and one that it started
	case "-", "_", "*", "@":
		return []word{unknownWord(0)}
	case "0":
		return []word{literal("$0")}
	}
	sources, known := w.vars[name]
	if !known {
		switch name {
		case "HOME":
			return []word{literal(w.policy.home)}
		case "PWD":
			return literals(w.dirs)
		case "SHELL", "BASH":
			return []word{literal("/bin/bash")}
		case "IFS":
			return []word{{text: " ", globAt: -1}}
		}
		return []word{unknownWord(0)}
	}
	if len(sources) > maxAlternatives || w.busy[name] {
		return []word{unknownWord(0)}
	}
	w.busy[name] = true
	defer delete(w.busy, name)
	var values []word
	for _, source := range sources {
		w.step()
		if source == nil {
			values = append(values, unknownWord(0))
			continue
		}
		values = append(values, w.value(source)...)
	}
	if len(values) > maxAlternatives {
		return []word{unknownWord(allTraits(values))}
	}
	return values
}

func literals(texts []string) []word {
	words := make([]word, 0, len(texts))
	for _, text := range texts {
		one := literal(text)
		one.unknown = strings.Contains(text, hole)
		words = append(words, one)
	}
	return words
}
