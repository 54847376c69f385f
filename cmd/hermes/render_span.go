package main

import (
	"slices"
	"strings"
	"unicode"
)

// spans draws emphasis, code and links in text, and returns how much of it is
// decided. Last says that nothing follows in this line.
func (r *renderer) spans(text []rune, base style, last bool) (done int) {
	for done < len(text) {
		n, known := r.span(text[done:], base, last)
		if !known {
			if !last && len(text)-done <= maxHeld {
				return done
			}
			n = 0 // it is not closed
		}
		if n == 0 {
			n = 1
			for text[done] == '`' && done+n < len(text) && text[done+n] == '`' {
				n++ // so that the rest of a run is not taken for another one
			}
			r.draw(base, string(text[done:done+n]))
		}
		done += n
	}
	return done
}

// span draws what a marker at the beginning of text opens, and returns how long
// that is; 0 is no marker. It is not known while more of the line must be seen.
func (r *renderer) span(text []rune, base style, last bool) (n int, known bool) {
	switch text[0] {
	case '`':
		return r.code(text, base, last)
	case '*', '_':
		return r.emphasis(text, base, last)
	case '[':
		return r.link(text, base)
	case '\\':
		if len(text) == 1 {
			return 0, last
		}
		if strings.ContainsRune("\\`*_{}[]()#+-.!|<>~", text[1]) {
			r.draw(base, string(text[1]))
			return 2, true
		}
	}
	return 0, true
}

// code draws what stands between two runs of as many backticks.
func (r *renderer) code(text []rune, base style, last bool) (n int, known bool) {
	run := runOf(text)
	if run == len(text) {
		return 0, false
	}
	for i := run; i < len(text); {
		if text[i] != '`' {
			i++
			continue
		}
		closing := runOf(text[i:])
		if i+closing == len(text) && !last {
			return 0, false // it may be longer
		}
		if closing == run {
			r.draw(base.with(cyan), string(text[run:i]))
			return i + closing, true
		}
		i += closing
	}
	return 0, false
}

// emphasis draws **strong** and *emphasised* text.
func (r *renderer) emphasis(text []rune, base style, last bool) (n int, known bool) {
	mark, run := text[0], runOf(text)
	if run == len(text) && !last {
		return 0, run > maxHeld
	}
	if run > 2 || run == len(text) || unicode.IsSpace(text[run]) || isWord(r.last) {
		return 0, true
	}
	st := italic
	if run == 2 {
		st = bold
	}
	for i := run; i < len(text); {
		switch text[i] {
		case '`': // code comes first
			code := runOf(text[i:])
			i += code
			if end := indexRun(text[i:], code); end >= 0 {
				i += end + code
			}
			continue
		case '\\':
			i += 2
			continue
		case mark:
		default:
			i++
			continue
		}
		closing := runOf(text[i:])
		after := i + closing
		if after == len(text) && !last {
			return 0, false
		}
		if closing == run && !unicode.IsSpace(text[i-1]) && (after == len(text) || !isWord(text[after])) {
			r.spans(text[run:i], base.with(st), true)
			return after, true
		}
		i = after
	}
	return 0, false
}

// link draws [text](address) as text (address).
func (r *renderer) link(text []rune, base style) (n int, known bool) {
	closing := slices.Index(text, ']')
	if closing < 0 || closing+1 == len(text) {
		return 0, false
	}
	if text[closing+1] != '(' || slices.Contains(text[1:closing], '[') {
		return 0, true
	}
	end := slices.Index(text[closing:], ')')
	if end < 0 {
		return 0, false
	}
	end += closing
	label, address := string(text[1:closing]), string(text[closing+2:end])
	r.spans(text[1:closing], base.with(underline), true)
	if label != address {
		r.draw(base, " ("+address+")")
	}
	return end + 1, true
}

// runOf is how often the first character is repeated.
func runOf(text []rune) int {
	n := 1
	for n < len(text) && text[n] == text[0] {
		n++
	}
	return n
}

// indexRun finds a run of exactly n backticks.
func indexRun(text []rune, n int) int {
	for i := 0; i < len(text); {
		if text[i] != '`' {
			i++
			continue
		}
		run := runOf(text[i:])
		if run == n {
			return i
		}
		i += run
	}
	return -1
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }
