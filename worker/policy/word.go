package policy

import (
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// hole stands in a word for text that is known only when the command runs. No
// command holds this character.
const hole = "\x00"

// trait is what is known of text that is not known.
type trait uint8

const (
	fromNetwork trait = 1 << iota // a program fetched it
	fromSecret                    // it was read from a file with secrets
	fromPIDs                      // it is numbers of processes that were looked up
	fromDecoder                   // it was decoded
)

// word is one word of a command, after expansion.
type word struct {
	text    string // with holes
	src     string // as it was written, when text has holes
	unknown bool   // text has holes
	globAt  int    // where its first pattern character is that nothing quotes, or -1
	traits  trait
}

func literal(text string) word { return word{text: text, globAt: -1} }

func unknownWord(traits trait) word {
	return word{text: hole, src: "…", unknown: true, globAt: -1, traits: traits}
}

func (w word) show() string {
	switch {
	case w.unknown && w.src != "":
		return w.src
	case w.text == "":
		return "''"
	case strings.ContainsAny(w.text, " \t\n"):
		return "'" + w.text + "'"
	default:
		return w.text
	}
}

// from is what follows the first n bytes of the word.
func (w word) from(n int) word {
	w.text = w.text[n:]
	w.globAt = max(-1, w.globAt-n)
	w.unknown = strings.Contains(w.text, hole)
	return w
}

// flag reports whether the word is an option.
func (w word) flag() bool { return len(w.text) > 1 && w.text[0] == '-' }

func baseName(name string) string {
	if name == "" {
		return ""
	}
	return path.Base(name)
}

// texts are the words as plain text.
func texts(argv []word) []string {
	list := make([]string, len(argv))
	for i, w := range argv {
		list[i] = w.text
	}
	return list
}

func joined(argv []word) word {
	all := literal(strings.Join(texts(argv), " "))
	for _, w := range argv {
		all.unknown = all.unknown || w.unknown
		all.traits |= w.traits
	}
	return all
}

// piece is a part of a word.
type piece struct {
	text   string
	quoted bool // no pattern, no splitting
	split  bool // from an expansion that is not quoted
	traits trait
}

// fields makes words of pieces, as a shell splits them.
func fields(pieces []piece) []word {
	var words []word
	current := word{globAt: -1}
	var text strings.Builder
	begun := false
	flush := func() {
		if begun {
			current.text = text.String()
			current.unknown = strings.Contains(current.text, hole)
			words = append(words, current)
		}
		text.Reset()
		current, begun = word{globAt: -1}, false
	}
	for _, p := range pieces {
		current.traits |= p.traits
		if p.quoted {
			begun = true
			text.WriteString(p.text)
			continue
		}
		for i := 0; i < len(p.text); i++ {
			c := p.text[i]
			if p.split && (c == ' ' || c == '\t' || c == '\n') {
				flush()
				continue
			}
			if current.globAt < 0 && (c == '*' || c == '?' || c == '[' && strings.Contains(p.text[i:], "]")) {
				current.globAt = text.Len()
			}
			begun = true
			text.WriteByte(c)
		}
	}
	flush()
	return words
}

// unescape takes the backslashes out of text that nothing quotes.
func unescape(value string) []piece {
	if !strings.Contains(value, `\`) {
		return []piece{{text: value}}
	}
	var pieces []piece
	for value != "" {
		i := strings.IndexByte(value, '\\')
		if i < 0 || i == len(value)-1 {
			pieces = append(pieces, piece{text: value})
			break
		}
		if i > 0 {
			pieces = append(pieces, piece{text: value[:i]})
		}
		_, size := utf8.DecodeRuneInString(value[i+1:])
		if value[i+1] != '\n' {
			pieces = append(pieces, piece{text: value[i+1 : i+1+size], quoted: true})
		}
		value = value[i+1+size:]
	}
	return pieces
}

// unescapeQuoted does the same within double quotes.
func unescapeQuoted(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	return strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\$`, `$`, "\\`", "`", "\\\n", "").Replace(value)
}

// unescapeANSI reads what stands in $'…'.
func unescapeANSI(value string) string {
	if !strings.Contains(value, `\`) {
		return value
	}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' || i+1 == len(value) {
			b.WriteByte(value[i])
			continue
		}
		i++
		c := value[i]
		switch {
		case c == 'x':
			i = number(&b, value, i, 16, 2)
		case c == 'u':
			i = number(&b, value, i, 16, 4)
		case c == 'U':
			i = number(&b, value, i, 16, 8)
		case c >= '0' && c <= '7':
			i = number(&b, value, i-1, 8, 3)
		case strings.IndexByte("abeEfnrtv", c) >= 0:
			b.WriteByte("\a\b\x1b\x1b\f\n\r\t\v"[strings.IndexByte("abeEfnrtv", c)])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// number writes the character whose number follows value[i], and returns where it
// ends.
func number(b *strings.Builder, value string, i, base, most int) int {
	end := i + 1
	for end < len(value) && end <= i+most && strings.IndexByte("0123456789abcdef"[:base], value[end]|0x20) >= 0 {
		if base == 8 && (value[end] < '0' || value[end] > '7') {
			break
		}
		end++
	}
	n, err := strconv.ParseUint(value[i+1:end], base, 32)
	switch {
	case err != nil:
		b.WriteByte(value[i])
		return i
	case n == 0:
		return end - 1 // a shell cuts the word here; a longer one is no less dangerous
	case base == 16 && most > 2:
		b.WriteString(string(rune(n))) //nolint:gosec // what is no character becomes the mark for that
	default:
		b.WriteByte(byte(n)) //nolint:gosec // a shell takes the last eight bits too
	}
	return end - 1
}
