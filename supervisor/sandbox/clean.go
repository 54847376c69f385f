package sandbox

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	escape = 0x1b
	bell   = 0x07
)

// maxString bounds the search for the end of a terminal's control string (a
// window title, a link), so that one without an end hides no output.
const maxString = 4096

// clean makes text for a model out of what a program wrote: valid UTF-8, without
// control sequences and control characters other than tab and line ends. One
// replacement character stands for a run of bytes that are no text.
func clean(p []byte) string {
	var text strings.Builder
	text.Grow(len(p))
	garbled := false // the last rune written is a replacement
	for len(p) > 0 {
		// What needs no care goes in one piece.
		plain := 0
		for plain < len(p) && (p[plain] >= ' ' && p[plain] < 0x7f || p[plain] == '\n' || p[plain] == '\t') {
			plain++
		}
		text.Write(p[:plain])
		p = p[plain:]
		garbled = garbled && plain == 0
		if len(p) == 0 {
			break
		}
		if p[0] == escape {
			p = p[sequence(p):]
			continue
		}
		r, size := utf8.DecodeRune(p)
		switch {
		case r == 0, r == utf8.RuneError && size == 1:
			if !garbled {
				text.WriteRune(utf8.RuneError)
			}
			garbled = true
		case r == '\r', r >= 0xa0:
			text.Write(p[:size])
			garbled = false
		}
		p = p[size:]
	}
	return text.String()
}

// sequence returns the length of the control sequence at the beginning of p,
// which is an escape character; at least 1.
func sequence(p []byte) int {
	if len(p) < 2 {
		return 1
	}
	switch p[1] {
	case '[': // parameters and intermediates, then a final byte
		i := 2
		for i < len(p) && p[i] >= 0x20 && p[i] <= 0x3f {
			i++
		}
		if i < len(p) && p[i] >= 0x40 && p[i] <= 0x7e {
			i++
		}
		return i
	case ']', 'P', 'X', '^', '_': // a string up to bell or ESC \
		for i := 2; i < len(p) && i < maxString; i++ {
			switch {
			case p[i] == bell:
				return i + 1
			case p[i] == escape && bytes.HasPrefix(p[i+1:], []byte{'\\'}):
				return i + 2
			case p[i] == escape, p[i] == '\n':
				return 2
			}
		}
		return 2
	default: // intermediates, then a final byte
		i := 1
		for i < len(p) && p[i] >= 0x20 && p[i] <= 0x2f {
			i++
		}
		if i < len(p) && p[i] >= 0x30 && p[i] <= 0x7e {
			i++
		}
		return i
	}
}

// Cleaner makes text for a model out of what a program writes, as it comes, and
// hands it on: what clean makes of the whole, but that a rune or a control
// sequence which is cut in two by a read is held back until the rest is there.
type Cleaner struct {
	To io.Writer
	// Terminal says that a terminal wrote it, which ends lines with two
	// characters.
	Terminal bool

	held []byte
}

// Write takes the next bytes.
func (c *Cleaner) Write(p []byte) (int, error) {
	data := p
	if len(c.held) > 0 {
		data = append(c.held, p...)
	}
	whole := c.whole(data)
	err := c.pass(data[:whole])
	c.held = append([]byte(nil), data[whole:]...)
	return len(p), err
}

// Flush hands on what was held back. Nothing may follow.
func (c *Cleaner) Flush() error {
	held := c.held
	c.held = nil
	return c.pass(held)
}

func (c *Cleaner) pass(p []byte) error {
	if c.Terminal {
		p = bytes.ReplaceAll(p, []byte("\r\n"), []byte("\n"))
	}
	if len(p) == 0 {
		return nil
	}
	_, err := io.WriteString(c.To, clean(p))
	return err
}

// whole returns how much of p does not depend on what follows it.
func (c *Cleaner) whole(p []byte) int {
	for at := 0; ; {
		i := bytes.IndexByte(p[at:], escape)
		if i < 0 {
			break
		}
		at += i
		if cut(p[at:]) {
			return at
		}
		at += sequence(p[at:])
	}
	p = wholeRunes(p)
	if c.Terminal {
		p = bytes.TrimSuffix(p, []byte("\r"))
	}
	return len(p)
}

// cut reports whether the control sequence at the beginning of p may go on
// behind its end.
func cut(p []byte) bool {
	if len(p) >= maxString {
		return false
	}
	if len(p) < 2 {
		return true
	}
	n := sequence(p)
	switch p[1] {
	case '[':
		return n == len(p) && (n == 2 || p[n-1] < 0x40)
	case ']', 'P', 'X', '^', '_':
		if n > 2 {
			return false
		}
		// It has no end: because something else comes, or nothing yet.
		body := p[2:]
		i := bytes.IndexAny(body, "\n\x1b")
		return i < 0 || body[i] == escape && i == len(body)-1
	default:
		return n == len(p) && p[n-1] >= 0x20 && p[n-1] <= 0x2f
	}
}
