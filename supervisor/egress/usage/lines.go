package usage

// lines takes the data out of an event stream that comes in pieces cut anywhere.
type lines struct {
	place   place
	matched int  // bytes of the field's name
	skipLF  bool // the line before ended in CR, so a line feed belongs to it
}

// place is where in a line it is.
type place uint8

const (
	lineBegin place = iota // within the name of the field
	lineData
	lineElse
)

const field = "data:"

// split calls take with each piece of data, and reset between two events.
func (l *lines) split(p []byte, take func([]byte), reset func()) {
	for i, lf, cr := 0, -1, -1; i < len(p); {
		if l.skipLF {
			if l.skipLF = false; p[i] == '\n' {
				i++
				continue
			}
		}
		if l.place == lineBegin && p[i] != '\n' && p[i] != '\r' {
			l.name(p[i])
			i++
			continue
		}
		lf, cr = next(p, '\n', i, lf), next(p, '\r', i, cr)
		end := min(lf, cr)
		if l.place == lineData {
			take(p[i:min(end+1, len(p))]) // with the end of the line: the lines of one event are one text
		}
		if end == len(p) {
			return
		}
		if l.place == lineBegin && l.matched == 0 {
			reset()
		}
		l.place, l.matched, l.skipLF = lineBegin, 0, p[end] == '\r'
		i = end + 1
	}
}

// name takes a byte of the field's name.
func (l *lines) name(c byte) {
	if c != field[l.matched] {
		l.place, l.matched = lineElse, 1
		return
	}
	if l.matched++; l.matched == len(field) {
		l.place, l.matched = lineData, 1
	}
}
