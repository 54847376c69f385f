package pdf

import (
	"bytes"
	"errors"
	"math"
	"strings"
)

// What a distance means, in sizes of the font. TeX's narrowest space is 0.22,
// and its widest kerning below 0.1.
const (
	wordGap = 0.15 // between two words
	cellGap = 2    // between two columns of a table
	lineGap = 0.5  // up or down: another line
	paraGap = 2    // up or down: another paragraph
)

// errFull says that there is as much text as was asked for.
var errFull = errors.New("there is more text")

// point is a place on a page.
type point struct{ x, y float64 }

// piece is a string as it stands on a page.
type piece struct {
	text     string
	from, to point
	// along is the direction in which it is read, of length 1.
	along point
	size  float64
}

// layout puts pieces together in the order of the document, with the spaces and
// lines between them that their places tell.
type layout struct {
	out   []byte
	limit int
	last  piece
	// pieces is how many there were with text.
	pieces int
	gap    string // before the next piece, whatever its place
}

// page begins a page, or what else stands for itself.
func (l *layout) page() {
	l.last = piece{}
	if len(l.out) > 0 {
		l.gap = "\n\n"
	}
}

// place adds a piece. The error is errFull.
func (l *layout) place(p piece) error {
	p.text = plain(p.text)
	if p.text == "" {
		if l.last.text != "" {
			l.last.to = p.to
		}
		return nil
	}
	gap := l.gap
	if l.last.text != "" {
		gap = l.between(p)
	}
	l.gap = ""
	if strings.HasPrefix(gap, "\n") {
		l.out = bytes.TrimRight(l.out, " \t")
	} else if gap == " " && (strings.HasPrefix(p.text, " ") || bytes.HasSuffix(l.out, []byte(" "))) {
		gap = ""
	}
	l.out = append(append(l.out, gap...), p.text...)
	l.last = p
	l.pieces++
	if len(l.out) >= l.limit {
		return errFull
	}
	return nil
}

// between is what stands between the last piece and p.
func (l *layout) between(p piece) string {
	size := max(l.last.size, p.size)
	dx, dy := p.from.x-l.last.to.x, p.from.y-l.last.to.y
	along := dx*p.along.x + dy*p.along.y
	across := math.Abs(dx*p.along.y - dy*p.along.x)
	switch {
	case across > paraGap*size:
		return "\n\n"
	case across > lineGap*size, along < -size:
		return "\n"
	case along > cellGap*size:
		return "\t"
	case along > wordGap*size:
		return " "
	default:
		return ""
	}
}

// text is what came together: at most limit bytes, and exactly so many where
// there is more.
func (l *layout) text() string { return string(l.out[:min(len(l.out), l.limit)]) }

// plain takes out what is no text, and takes ligatures apart.
func plain(text string) string {
	clean := true
	for _, r := range text {
		if r < ' ' || r >= 0xfb00 && r <= 0xfb06 || r == 0x7f || r == 0xa0 || r == '\ufffd' {
			clean = false
			break
		}
	}
	if clean {
		return text
	}
	var out strings.Builder
	for _, r := range text {
		switch {
		case r == '\t', r == 0xa0:
			out.WriteByte(' ')
		case r < ' ', r == 0x7f, r == '\ufffd':
		case r >= 0xfb00 && r <= 0xfb06:
			out.WriteString([...]string{"ff", "fi", "fl", "ffi", "ffl", "st", "st"}[r-0xfb00])
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}
