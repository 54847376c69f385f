package main

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxHeld is how many characters of a line are held back at most while it is open
// what they are. After that a marker is taken for plain text.
const maxHeld = 400

// renderer draws Markdown on a terminal while it arrives: text in, text with SGR
// sequences out. It is a state machine over characters, so it is no matter how the
// text is cut into pieces. Of a line only what is not decided yet is held back: a
// marker at its beginning, or what follows a marker that may still be closed.
//
// Nothing is left out but the markers of what is drawn: what is not closed, too
// long or not known stays as it was written. Code, tables and what is not Markdown
// at all keep every character, so that they can be copied. What could control the
// terminal is dropped; the only sequences in the output are those made here.
type renderer struct {
	out     strings.Builder
	partial []byte // of a character that was cut between two pieces

	held  []rune // of the current line, not decided yet
	begun bool   // the current line is past its block marker
	raw   bool   // the current line is drawn as it is: a row of a table
	base  style  // of the current line: a heading
	last  rune   // that was drawn in this line, 0 at its beginning
	fence string // which closes the block of code that is open
	drawn style  // that the terminal is in now
}

// write takes in a piece and returns what is to be drawn now.
func (r *renderer) write(text string) string {
	data := append(r.partial, text...)
	for len(data) > 0 && utf8.FullRune(data) {
		char, n := utf8.DecodeRune(data)
		data = data[n:]
		if char = printableRune(char); char >= 0 {
			r.char(char)
		}
	}
	r.partial = append([]byte(nil), data...)
	return r.take()
}

// flush returns what was held back. What comes next is another text.
func (r *renderer) flush() string {
	for range r.partial { // each is none
		r.char(utf8.RuneError)
	}
	r.endOfLine()
	r.style(plain)
	text := r.take()
	*r = renderer{}
	return text
}

func (r *renderer) take() string {
	text := r.out.String()
	r.out.Reset()
	return text
}

func (r *renderer) char(char rune) {
	if char == '\n' {
		r.endOfLine()
		r.style(plain)
		r.out.WriteByte('\n')
		r.begun, r.raw, r.base, r.last = false, false, plain, 0
		return
	}
	r.held = append(r.held, char)
	r.decide(false)
}

// endOfLine decides about all that is held back.
func (r *renderer) endOfLine() { r.decide(true) }

// decide draws as much of what is held back as can be decided. Last says that the
// line ends here.
func (r *renderer) decide(last bool) {
	if r.fence != "" {
		r.inFence(last)
		return
	}
	for !r.begun {
		if len(r.held) == 0 || !r.block(last) {
			return
		}
	}
	if r.raw {
		r.draw(r.base, string(r.held))
		r.held = r.held[:0]
		return
	}
	n := r.spans(r.held, r.base, last)
	r.held = append(r.held[:0], r.held[n:]...)
}

// inFence draws a line of a block of code, or its end.
func (r *renderer) inFence(last bool) {
	if !r.begun {
		line := strings.TrimSpace(string(r.held))
		closes := strings.HasPrefix(line, r.fence) && strings.Trim(line, r.fence[:1]) == ""
		if last && closes {
			r.draw(dim, string(r.held))
			r.held, r.fence = r.held[:0], ""
			return
		}
		if !last && len(r.held) < maxHeld && (closes || strings.HasPrefix(r.fence, line)) {
			return
		}
		r.begun = true
	}
	r.draw(cyan, string(r.held))
	r.held = r.held[:0]
}

// draw writes text in a style.
func (r *renderer) draw(st style, text string) {
	if text == "" {
		return
	}
	r.style(st)
	r.out.WriteString(text)
	r.last, _ = utf8.DecodeLastRuneInString(text)
}

// style brings the terminal into a style.
func (r *renderer) style(st style) {
	if st == r.drawn {
		return
	}
	if r.drawn != plain {
		r.out.WriteString("\x1b[0m")
	}
	if st != plain {
		r.out.WriteString("\x1b[" + string(st) + "m")
	}
	r.drawn = st
}

// with is a style within another one.
func (st style) with(inner style) style {
	if st == plain || st == inner {
		return inner
	}
	return st + ";" + inner
}

// printableRune is what is shown of a character on a terminal, or -1.
func printableRune(r rune) rune {
	switch {
	case r == '\n' || r == '\t' || r == zeroWidthJoiner || unicode.IsPrint(r):
		return r
	case unicode.IsSpace(r):
		return ' '
	default:
		return -1
	}
}
