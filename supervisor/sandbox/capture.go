package sandbox

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// capture keeps the first and the last bytes of a stream, in bounded memory.
type capture struct {
	head     []byte
	headMax  int
	tail     []byte // a ring once it is full
	tailMax  int
	next     int   // where the ring continues, which is where it begins too
	received int64 // bytes in all
}

func newCapture(limit int) *capture {
	if limit <= 0 {
		limit = DefaultMaxOutput
	}
	head := limit * 2 / 5
	return &capture{headMax: head, tailMax: limit - head}
}

// Write takes the next bytes. It never fails.
func (c *capture) Write(p []byte) (int, error) {
	n := len(p)
	c.received += int64(n)
	if room := c.headMax - len(c.head); room > 0 {
		room = min(room, len(p))
		c.head = append(c.head, p[:room]...)
		p = p[room:]
	}
	if len(p) > c.tailMax {
		// The ring begins anew, filled to the brim.
		c.tail = append(c.tail[:0], p[len(p)-c.tailMax:]...)
		c.next = 0
		return n, nil
	}
	if room := c.tailMax - len(c.tail); room > 0 {
		room = min(room, len(p))
		c.tail = append(c.tail, p[:room]...)
		p = p[room:]
	}
	for len(p) > 0 {
		copied := copy(c.tail[c.next:], p)
		c.next = (c.next + copied) % c.tailMax
		p = p[copied:]
	}
	return n, nil
}

// text returns what was kept, cleaned, and how many bytes were left out. The cut
// is between lines, unless they are so long that much would be lost.
func (c *capture) text() (text string, omitted int64) {
	tail := append(bytes.Clone(c.tail[c.next:]), c.tail[:c.next]...)
	if c.received == int64(len(c.head)+len(tail)) {
		return clean(append(c.head, tail...)), 0
	}
	head := c.head
	if i := bytes.LastIndexByte(head, '\n'); i >= len(head)/2 {
		head = head[:i+1]
	} else {
		head = wholeRunes(head)
	}
	if i := bytes.IndexByte(tail, '\n'); i >= 0 && i < len(tail)/2 {
		tail = tail[i+1:]
	} else {
		for i = 0; i < utf8.UTFMax-1 && i < len(tail) && !utf8.RuneStart(tail[i]); i++ {
		}
		tail = tail[i:]
	}
	omitted = c.received - int64(len(head)+len(tail))
	before, after := clean(head), clean(tail)
	if before != "" && before[len(before)-1] != '\n' {
		before += "\n"
	}
	return before + fmt.Sprintf("[… %d bytes left out …]\n", omitted) + after, omitted
}

// wholeRunes cuts off a rune that is not all there.
func wholeRunes(p []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(p); i++ {
		if last := p[len(p)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return p[:len(p)-i]
			}
			break
		}
	}
	return p
}
