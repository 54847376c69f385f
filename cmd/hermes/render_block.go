package main

import "strings"

// block looks at the beginning of a line. It is false while more of it must be
// known; else the line is past its marker, or past one of several.
func (r *renderer) block(last bool) bool {
	line := string(r.held)
	text := strings.TrimLeft(line, " \t")
	indent := line[:len(line)-len(text)]
	if len(r.held) > maxHeld {
		r.begun = true
		return true
	}
	if text == "" {
		r.begun = last
		return last
	}
	switch text[0] {
	case '#':
		return r.heading(indent, text, last)
	case '>':
		r.draw(dim, indent+"│")
		r.drop(len(indent) + 1)
	case '|':
		r.begun, r.raw = true, true
	case '`', '~':
		return r.openFence(text, last)
	case '-', '*', '+', '_':
		return r.bulletOrRule(indent, text, last)
	default:
		r.begun = true
	}
	return true
}

// drop takes the first n bytes, which are decided, off what is held back.
func (r *renderer) drop(n int) { r.held = []rune(string(r.held)[n:]) }

func (r *renderer) heading(indent, text string, last bool) bool {
	level := len(text) - len(strings.TrimLeft(text, "#"))
	rest := text[level:]
	if rest == "" && level <= 6 && !last {
		return false
	}
	r.begun = true
	if level <= 6 && strings.HasPrefix(rest, " ") {
		r.draw(plain, indent)
		r.base = bold
		r.held = []rune(rest[1:])
	}
	return true
}

// openFence begins a block of code with its line, which must be whole: one with
// another fence in it is code within text.
func (r *renderer) openFence(text string, last bool) bool {
	mark := text[:1]
	fence := text[:len(text)-len(strings.TrimLeft(text, mark))]
	info := text[len(fence):]
	switch {
	case len(fence) < 3 && info != "" || len(fence) < 3 && last || mark == "`" && strings.Contains(info, mark):
		r.begun = true
		return true
	case !last:
		return false
	}
	r.draw(dim, string(r.held))
	r.held, r.begun, r.fence = r.held[:0], true, fence
	return true
}

// bulletOrRule draws the bullet of an entry of a list, or a rule. Anything else is
// text, which may begin with emphasis.
func (r *renderer) bulletOrRule(indent, text string, last bool) bool {
	mark := text[:1]
	ruled := mark != "+" && strings.Trim(text, mark+" ") == ""
	marks := strings.Count(text, mark)
	switch {
	case ruled && last && marks >= 3:
		r.begun = true
		r.draw(dim, string(r.held))
		r.held = r.held[:0]
	case (ruled || text == mark) && !last:
		return false
	case mark != "_" && strings.HasPrefix(text, mark+" "):
		r.draw(r.base, indent+"•")
		r.drop(len(indent) + 1)
		r.begun = true
	default:
		r.begun = true
	}
	return true
}
