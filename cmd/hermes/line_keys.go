package main

import (
	"io"
	"strings"
)

// What stands for line breaks and tabs in a line that is edited. Both come back as
// what they stand for.
const (
	shownBreak = "␤"
	shownTab   = "␉"
)

// The marks that a terminal puts around what is pasted.
const (
	pasteBegins = "\x1b[200~"
	pasteEnds   = "\x1b[201~"
)

const (
	ctrlC = 3
	ctrlE = 5
	ctrlU = 21
	del   = 127
)

// keyReader is what a person types on its way to the line editor. What is pasted
// becomes one line, whatever is in it: breaks and tabs get a sign, and what could
// control the terminal is dropped. Ctrl-C empties the line, and ends the editor
// when nothing was typed.
type keyReader struct {
	in          io.Reader
	out         []byte // ready for the editor
	typed       bool   // something, since the last line ended
	interrupted bool   // by Ctrl-C where nothing was typed

	pasting bool
	match   int  // how much of the next mark was read
	cr      bool // the last one pasted was a carriage return
	c2      bool // the last one pasted was the first half of a C1 control
}

func (k *keyReader) Read(p []byte) (int, error) {
	buf := make([]byte, 256)
	for len(k.out) == 0 {
		n, err := k.in.Read(buf)
		for _, b := range buf[:n] {
			k.key(b)
		}
		if err != nil && len(k.out) == 0 {
			return 0, err
		}
	}
	n := copy(p, k.out)
	k.out = k.out[n:]
	return n, nil
}

func (k *keyReader) key(b byte) {
	mark := pasteBegins
	if k.pasting {
		mark = pasteEnds
	}
	if k.match > 0 && b != mark[k.match] {
		held := []byte(mark[:k.match])
		k.match = 0
		if k.pasting {
			for _, c := range held[1:] { // without its escape character
				k.pasted(c)
			}
		}
	}
	switch {
	case b == mark[k.match]:
		if !k.pasting { // an arrow key begins alike, and must not wait
			k.out, k.typed = append(k.out, b), true
		}
		if k.match++; k.match < len(mark) {
			return
		}
		if k.pasting {
			k.out = append(k.out, mark...)
		}
		k.match, k.pasting, k.cr, k.c2 = 0, !k.pasting, false, false
	case k.pasting:
		k.pasted(b)
	case b == ctrlC && k.typed:
		k.out, k.typed = append(k.out, ctrlE, ctrlU), false
	default:
		k.interrupted = b == ctrlC
		k.typed = b != ctrlC && b != '\r' && b != '\n'
		k.out = append(k.out, b)
	}
}

// pasted takes in a byte of what is pasted.
func (k *keyReader) pasted(b byte) {
	afterCR, afterC2 := k.cr, k.c2
	k.cr, k.c2 = b == '\r', b == 0xc2
	switch {
	case k.c2:
	case afterC2 && b >= 0x80 && b < 0xa0:
	case b == '\n' && afterCR:
	case b == '\r' || b == '\n':
		k.out = append(k.out, shownBreak...)
	case b == '\t':
		k.out = append(k.out, shownTab...)
	case b < ' ' || b == del:
	default:
		if afterC2 {
			k.out = append(k.out, 0xc2)
		}
		k.out = append(k.out, b)
	}
	k.typed = true
}

// unshown puts line breaks and tabs back into an edited line.
func unshown(line string) string {
	return strings.NewReplacer(shownBreak, "\n", shownTab, "\t").Replace(line)
}
