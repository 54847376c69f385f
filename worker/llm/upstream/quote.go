package upstream

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

const hex = "0123456789abcdef"

// AppendQuoted appends s as a JSON string literal. Bytes that are no UTF-8
// become U+FFFD. It is written here because requests repeat a long history and
// encoding/json would escape <, > and & in it.
func AppendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	kept := 0 // s up to here is in dst
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
		}
		dst = appendEscaped(append(dst, s[kept:i]...), c)
		i++
		kept = i
	}
	return append(append(dst, s[kept:]...), '"')
}

// appendEscaped appends the escape of a byte that cannot stand for itself.
func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	if c >= utf8.RuneSelf {
		return append(dst, "\ufffd"...)
	}
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}

// Pieces gathers a text that arrives as JSON string literals. They stay escaped
// until the text is complete, because most of them only pass through.
type Pieces struct {
	raw  []byte // an opening quote, and the pieces
	high []byte // a high surrogate at the end of a piece, which waits for its other half
}

// Take adds a valid JSON string literal and returns the literal to hand on: the
// same, unless its bytes are no text on their own. The result is valid as long
// as the argument, and may be shorter than three bytes, which means that there
// is nothing to hand on.
func (p *Pieces) Take(literal []byte) []byte {
	inner := literal[1 : len(literal)-1]
	if len(p.high) > 0 || bytes.Contains(inner, []byte(`\u`)) || !utf8.Valid(inner) {
		inner = append(p.high, inner...)
		whole := len(inner)
		if endsHigh(inner) {
			whole -= len(`\ud83d`)
		}
		p.high = bytes.Clone(inner[whole:])
		literal = AppendQuoted(nil, Unquote(append(append([]byte{'"'}, inner[:whole]...), '"')))
		inner = literal[1 : len(literal)-1]
	}
	p.Add(inner)
	return literal
}

// Add adds what is clean already.
func (p *Pieces) Add(inner []byte) {
	if p.raw == nil {
		p.raw = append(make([]byte, 0, 1024), '"')
	}
	p.raw = append(p.raw, inner...)
}

// Pending reports whether half a character waits for its other half.
func (p *Pieces) Pending() bool { return len(p.high) > 0 }

// Text returns the whole text.
func (p *Pieces) Text() string {
	if len(p.high) > 0 {
		p.high = nil
		p.Add([]byte("\ufffd"))
	}
	if len(p.raw) < 2 {
		return ""
	}
	return Unquote(append(p.raw, '"'))
}

// endsHigh reports whether the inside of a literal ends with the escape of a
// high surrogate.
func endsHigh(inner []byte) bool {
	at := len(inner) - len(`\ud83d`)
	if at < 0 || inner[at] != '\\' || inner[at+1] != 'u' || inner[at+2]|0x20 != 'd' {
		return false
	}
	if third := inner[at+3] | 0x20; third != '8' && third != '9' && third != 'a' && third != 'b' {
		// 8 and 9 already have the bit that makes letters small.
		return false
	}
	backslashes := 0
	for at > backslashes && inner[at-1-backslashes] == '\\' {
		backslashes++
	}
	return backslashes%2 == 0
}

// Unquote decodes a JSON string literal. What is none gives nothing.
func Unquote(literal []byte) string {
	var s string
	if json.Unmarshal(literal, &s) != nil {
		return ""
	}
	return s
}
