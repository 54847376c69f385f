package openaichat

import (
	"bytes"
	"unicode/utf8"
)

// plainContent looks for the content of a chunk that carries text and nothing
// else, and returns it as the JSON string literal that it is, without decoding
// anything. It reports true only when it has understood the chunk from its
// first byte to its last; whatever it is not certain of goes to the full
// decoder, which must agree with every true (FuzzScan).
//
// It relies on this of the full decoder: unknown keys mean nothing, and keys are
// compared without regard to case, which is why a key with anything but small
// letters in it ends the certainty.
//
// The scanner is only a place to work in, used again for every chunk.
func plainContent(s *scanner, chunk []byte) ([]byte, bool) {
	*s = scanner{b: chunk}
	s.space()
	if !s.members((*scanner).chunkMember) {
		return nil, false
	}
	s.space()
	return s.content, s.i == len(s.b) && s.content != nil
}

// maxDepth bounds how deep a value may be that is passed over.
const maxDepth = 16

// scanner walks through JSON. Its methods return false as soon as something is
// not as they expect; i then means nothing.
type scanner struct {
	b       []byte
	i       int
	content []byte // the literal, once found
	choices bool   // seen
	delta   bool   // seen
}

func (s *scanner) chunkMember(key []byte) bool {
	switch string(key) {
	case "choices":
		if s.choices {
			return false
		}
		s.choices = true
		if !s.eat('[') {
			return false
		}
		s.space()
		if !s.members((*scanner).choiceMember) {
			return false
		}
		s.space()
		return s.eat(']')
	case "object":
		return s.word(`"chat.completion.chunk"`)
	case "usage", "error":
		return s.word("null")
	default:
		return s.value(0)
	}
}

func (s *scanner) choiceMember(key []byte) bool {
	switch string(key) {
	case "index":
		// Only the first choice counts. What follows the zero must be a comma, a
		// brace or space, which members sees to.
		return s.eat('0')
	case "delta":
		if s.delta {
			return false
		}
		s.delta = true
		return s.members((*scanner).deltaMember)
	case "finish_reason":
		return s.word("null") || s.word(`""`)
	case "message", "error":
		return s.word("null")
	default:
		return s.value(0)
	}
}

func (s *scanner) deltaMember(key []byte) bool {
	switch string(key) {
	case "content":
		if s.content != nil {
			return false
		}
		from := s.i
		if !s.text() {
			return false
		}
		s.content = s.b[from:s.i]
		// Surrogates may come in halves, and bytes that are no UTF-8 must not get
		// any further; both are for the full decoder.
		return utf8.Valid(s.content) && !bytes.Contains(s.content, []byte(`\ud`)) && !bytes.Contains(s.content, []byte(`\uD`))
	case "tool_calls", "reasoning_details":
		return s.word("null") || s.word("[]")
	case "reasoning", "reasoning_content", "refusal":
		return s.word("null") || s.word(`""`)
	case "function_call", "extra_content":
		return s.word("null")
	default:
		return s.value(0)
	}
}

// members walks through an object and calls visit at each member's value.
func (s *scanner) members(visit func(s *scanner, key []byte) bool) bool {
	if !s.eat('{') {
		return false
	}
	s.space()
	if s.eat('}') {
		return true
	}
	for {
		key, ok := s.key()
		if !ok || !visit(s, key) {
			return false
		}
		s.space()
		if s.eat('}') {
			return true
		}
		if !s.eat(',') {
			return false
		}
		s.space()
	}
}

// key reads a member's name of small letters, digits and underscores, and all
// that stands before the value.
func (s *scanner) key() ([]byte, bool) {
	if !s.eat('"') {
		return nil, false
	}
	from := s.i
	for s.i < len(s.b) && s.b[s.i] != '"' {
		c := s.b[s.i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return nil, false
		}
		s.i++
	}
	key := s.b[from:s.i]
	if !s.eat('"') {
		return nil, false
	}
	s.space()
	if !s.eat(':') {
		return nil, false
	}
	s.space()
	return key, true
}

// value passes over any value.
func (s *scanner) value(depth int) bool {
	if s.i == len(s.b) || depth > maxDepth {
		return false
	}
	switch s.b[s.i] {
	case '"':
		return s.text()
	case '{':
		return s.values('{', '}', depth)
	case '[':
		return s.values('[', ']', depth)
	case 'n':
		return s.word("null")
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	default:
		return s.number()
	}
}

// values passes over what stands between two brackets.
func (s *scanner) values(opening, closing byte, depth int) bool {
	s.eat(opening)
	s.space()
	if s.eat(closing) {
		return true
	}
	for {
		if opening == '{' {
			if !s.text() {
				return false
			}
			s.space()
			if !s.eat(':') {
				return false
			}
			s.space()
		}
		if !s.value(depth + 1) {
			return false
		}
		s.space()
		if s.eat(closing) {
			return true
		}
		if !s.eat(',') {
			return false
		}
		s.space()
	}
}

// text passes over a string literal.
func (s *scanner) text() bool {
	if !s.eat('"') {
		return false
	}
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return true
		case c == '\\':
			if !s.escape() {
				return false
			}
		case c < ' ':
			return false
		default:
			s.i++
		}
	}
	return false
}

// escape passes over an escape in a string.
func (s *scanner) escape() bool {
	if s.i+1 >= len(s.b) {
		return false
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return true
	case 'u':
		if s.i+6 > len(s.b) {
			return false
		}
		for _, c := range s.b[s.i+2 : s.i+6] {
			if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
		s.i += 6
		return true
	default:
		return false
	}
}

// number passes over a number.
func (s *scanner) number() bool {
	s.eat('-')
	if !s.eat('0') && !s.digits() {
		return false
	}
	if s.eat('.') && !s.digits() {
		return false
	}
	if s.eat('e') || s.eat('E') {
		if !s.eat('+') {
			s.eat('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}

// word passes over exactly w.
func (s *scanner) word(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return false
	}
	s.i += len(w)
	return true
}

func (s *scanner) eat(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}
