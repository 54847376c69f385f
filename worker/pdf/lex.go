package pdf

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// Limits of what a stream may make us hold at once. Honest streams stay far below.
const (
	maxToken    = 64 << 10 // bytes of a string, a name or a word
	maxOperands = 64 << 10 // of one operator
)

// kind is what an operand is.
type kind byte

const (
	kindNumber kind = iota
	kindText
	kindName
	kindBracket // of an array; the elements are operands like others
)

// operand is what stands before an operator.
type operand struct {
	kind kind
	num  float64
	text string // of a text its bytes, of a name without the slash
}

// lexer cuts a content stream, or a CMap, whose syntax is the same, into operators
// and operands. The library has one too, which loops for ever over a string
// without an end and gives a page up at the first odd byte; this one goes on.
type lexer struct {
	in   *bufio.Reader
	args []operand
}

func newLexer(in io.Reader) *lexer { return &lexer{in: bufio.NewReaderSize(in, 16<<10)} }

// next returns the next operator and the operands before it, which are valid
// until the call after. Brackets of dictionaries are passed over, their contents
// are operands. At the end the error is io.EOF.
func (l *lexer) next() (op string, args []operand, err error) {
	l.args = l.args[:0]
	for {
		c, err := l.in.ReadByte()
		if err != nil {
			return "", nil, err
		}
		switch c {
		case 0, '\t', '\n', '\f', '\r', ' ', '>', '{', '}', ')':
		case '%':
			l.skipLine()
		case '(':
			l.push(operand{kind: kindText, text: l.literal()})
		case '<':
			if l.peek() == '<' {
				l.skip()
				continue
			}
			l.push(operand{kind: kindText, text: l.hex()})
		case '[', ']':
			l.push(operand{kind: kindBracket, text: string(rune(c))})
		case '/':
			l.push(operand{kind: kindName, text: l.name()})
		default:
			word := l.word(c)
			if n, ok := parseNumber(word); ok {
				l.push(operand{kind: kindNumber, num: n})
				continue
			}
			if word == "ID" {
				l.skipImage()
				l.args = l.args[:0]
				continue
			}
			return word, l.args, nil
		}
	}
}

func (l *lexer) push(o operand) {
	if len(l.args) < maxOperands {
		l.args = append(l.args, o)
	}
}

// peek returns the next byte without taking it, 0 at the end.
func (l *lexer) peek() byte {
	next, err := l.in.Peek(1)
	if err != nil {
		return 0
	}
	return next[0]
}

func (l *lexer) skip() { _, _ = l.in.Discard(1) } // a failure comes again with the next read

func (l *lexer) skipLine() {
	for {
		c, err := l.in.ReadByte()
		if err != nil || c == '\n' || c == '\r' {
			return
		}
	}
}

// skipImage passes over the data of an image that stands in the content itself,
// as it would be taken for text.
func (l *lexer) skipImage() {
	var last [3]byte
	for {
		c, err := l.in.ReadByte()
		if err != nil || isSpace(last[0]) && last[1] == 'E' && last[2] == 'I' && isSpace(c) {
			return
		}
		last = [3]byte{last[1], last[2], c}
	}
}

// word reads on what begins with first.
func (l *lexer) word(first byte) string {
	word := []byte{first}
	for {
		c, err := l.in.ReadByte()
		if err != nil {
			return string(word)
		}
		if isSpace(c) || isDelimiter(c) {
			_ = l.in.UnreadByte() // cannot fail after a read
			return string(word)
		}
		if len(word) < maxToken {
			word = append(word, c)
		}
	}
}

// name reads what follows a slash.
func (l *lexer) name() string {
	if c := l.peek(); c == 0 || isSpace(c) || isDelimiter(c) {
		return ""
	}
	c, _ := l.in.ReadByte() // it was there a moment ago
	word := l.word(c)
	if !strings.Contains(word, "#") {
		return word
	}
	var plain strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] == '#' && i+2 < len(word) {
			if c, err := strconv.ParseUint(word[i+1:i+3], 16, 8); err == nil {
				plain.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		plain.WriteByte(word[i])
	}
	return plain.String()
}

// hex reads a string such as <0041>.
func (l *lexer) hex() string {
	var out []byte
	half, odd := byte(0), false
	for {
		c, err := l.in.ReadByte()
		if err != nil || c == '>' {
			break
		}
		digit, ok := hexDigit(c)
		if !ok {
			continue
		}
		if odd && len(out) < maxToken {
			out = append(out, half<<4|digit)
		}
		half, odd = digit, !odd
	}
	if odd {
		out = append(out, half<<4)
	}
	return string(out)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}

// literal reads a string such as (it\(s\)).
func (l *lexer) literal() string {
	var out []byte
	for depth := 1; ; {
		c, err := l.in.ReadByte()
		if err != nil {
			return string(out)
		}
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return string(out)
			}
		case '\\':
			var ok bool
			if c, ok = l.escape(); !ok {
				continue
			}
		}
		if len(out) < maxToken {
			out = append(out, c)
		}
	}
}

// escape reads what follows a backslash; ok is false when that is nothing.
func (l *lexer) escape() (c byte, ok bool) {
	c, err := l.in.ReadByte()
	switch {
	case err != nil || c == '\n':
		return 0, false
	case c == '\r':
		if l.peek() == '\n' {
			l.skip()
		}
		return 0, false
	case c >= '0' && c <= '7':
		code := c - '0'
		for range 2 {
			digit := l.peek()
			if digit < '0' || digit > '7' {
				break
			}
			l.skip()
			code = code<<3 | (digit - '0') // more than a byte holds is cut, as the format says
		}
		return code, true
	}
	if i := strings.IndexByte("nrtbf", c); i >= 0 {
		return "\n\r\t\b\f"[i], true
	}
	return c, true
}

// parseNumber knows the numbers of PDF, which are fewer than those of Go.
func parseNumber(word string) (float64, bool) {
	for i := range len(word) {
		if c := word[i]; (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' {
			return 0, false
		}
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil {
		n = 0 // such as 1-2 or --3, which producers have written
	}
	return n, true
}

func isSpace(c byte) bool {
	switch c {
	case 0, '\t', '\n', '\f', '\r', ' ':
		return true
	default:
		return false
	}
}

func isDelimiter(c byte) bool { return strings.IndexByte("()<>[]{}/%", c) >= 0 }
