package pdf

import (
	"io"
	"unicode/utf16"
)

const (
	// maxCodes is how many codes of one font are read: as many as a code of two
	// bytes has values, and some.
	maxCodes = 80 << 10
	// maxMeaning is how many UTF-16 units a code may stand for.
	maxMeaning = 32
)

// cmap says what the codes of a font mean: the ToUnicode entry of the font.
type cmap struct {
	text map[uint32]string
	left int // of maxCodes
	// oneByte says that all codes are of one byte.
	oneByte bool
}

// readCMap reads a CMap as far as it can be understood.
func readCMap(in io.Reader) cmap {
	m := cmap{text: map[uint32]string{}, left: maxCodes}
	short, long := 0, 0
	lex := newLexer(in)
	for {
		op, args, err := lex.next()
		if err != nil {
			m.oneByte = short > 0 && long == 0
			return m
		}
		switch op {
		case "endcodespacerange":
			for _, arg := range args {
				if len(arg.text) == 1 {
					short++
				} else {
					long++
				}
			}
		case "endbfchar":
			for i := 0; i+1 < len(args); i += 2 {
				m.set(codeOf(args[i].text), utf16Text(args[i+1].text))
			}
		case "endbfrange":
			m.ranges(args)
		}
	}
}

// ranges takes triples of a first code, a last code and a text, or a list of
// texts in brackets.
func (m *cmap) ranges(args []operand) {
	for len(args) >= 3 {
		first, last, to := codeOf(args[0].text), codeOf(args[1].text), args[2]
		args = args[3:]
		if to.kind == kindBracket {
			for code := first; len(args) > 0; code++ {
				to, args = args[0], args[1:]
				if to.kind == kindBracket {
					break
				}
				m.set(code, utf16Text(to.text))
			}
			continue
		}
		units := utf16Units(to.text)
		if len(units) == 0 || last < first {
			continue
		}
		for code := first; code-first <= min(last-first, 0xffff) && m.left > 0; code++ {
			m.set(code, string(utf16.Decode(units)))
			units[len(units)-1]++
		}
	}
}

func (m *cmap) set(code uint32, text string) {
	if m.left--; m.left >= 0 {
		m.text[code] = text
	}
}

// codeOf is a code as a number.
func codeOf(code string) uint32 {
	n := uint32(0)
	for i := range min(len(code), 4) {
		n = n<<8 | uint32(code[i])
	}
	return n
}

func utf16Text(raw string) string { return string(utf16.Decode(utf16Units(raw))) }

// utf16Units takes big-endian UTF-16 apart. A single byte, which some producers
// write, stands for itself.
func utf16Units(raw string) []uint16 {
	if len(raw) == 1 {
		return []uint16{uint16(raw[0])}
	}
	units := make([]uint16, min(len(raw)/2, maxMeaning))
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	return units
}
