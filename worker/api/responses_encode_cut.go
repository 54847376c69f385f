package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// bounds says how much of an item is shown, in bytes as they are escaped in
// JSON. 0 is all of it. What a message says is always shown whole.
type bounds struct {
	tool    int // of arguments, and of an output
	thought int // of reasoning
	// nothing leaves all items out.
	nothing bool
}

const (
	// shownTool keeps an event about a tool, which holds up to one value and
	// the frame around it (two in an mcp_call), below 64 KiB.
	shownTool    = 24 << 10
	shownThought = 24 << 10
	// leastShown is where it is of no use to cut further.
	leastShown = 512
)

// shown returns the bounds of what a stream shows.
func shown() bounds { return bounds{tool: shownTool} }

// tighter returns bounds that let less pass: reasoning is cut only then.
func (b bounds) tighter() bounds {
	if b.thought == 0 {
		return bounds{tool: b.tool / 4, thought: shownThought}
	}
	return bounds{tool: b.tool / 4, thought: b.thought / 4}
}

func (b bounds) tightest() bool { return b.tool < leastShown }

// appendBounded appends the inside of a JSON string. If it is longer than limit,
// its beginning and its end are kept, and a note stands between them.
func appendBounded(b, inner []byte, limit int) []byte {
	if limit == 0 || len(inner) <= limit {
		return append(b, inner...)
	}
	head := cut(inner, limit/3*2)
	tail := cut(inner, len(inner)-limit/3)
	b = append(b, inner[:head]...)
	b = append(b, `\n[`...)
	b = strconv.AppendInt(b, int64(tail-head), 10)
	b = append(b, ` bytes are left out here]\n`...)
	return append(b, inner[tail:]...)
}

// shownArguments returns the arguments of a call as the inside of a JSON
// string. They stay what they are, JSON or not: clients read them.
func (i *responseItem) shownArguments(limit int) []byte {
	if limit == 0 || len(i.quoted) <= limit {
		return i.quoted
	}
	if i.shortTo != limit { // several events show the same
		i.short, i.shortTo = i.shortArguments(limit), limit
	}
	return i.short
}

func (i *responseItem) shortArguments(limit int) []byte {
	decoder := json.NewDecoder(bytes.NewReader([]byte(i.arguments)))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil || decoder.More() {
		return appendBounded(nil, i.quoted, limit)
	}
	for most := limit / 2; most >= 16; most /= 4 {
		short := appendQuoted(nil, string(appendJSON(nil, shortened(value, most))))
		if len(short) <= limit+2 {
			return inside(short)
		}
	}
	return inside(appendQuoted(nil, fmt.Sprintf(`{"left_out":"%d bytes"}`, len(i.arguments))))
}

// shortened returns a JSON value whose texts have at most so many bytes and a
// note.
func shortened(value any, most int) any {
	switch value := value.(type) {
	case string:
		if len(value) <= most {
			return value
		}
		at := most
		for !utf8.RuneStart(value[at]) {
			at--
		}
		return fmt.Sprintf("%s [%d bytes are left out here]", value[:at], len(value)-at)
	case []any:
		short := make([]any, len(value))
		for i := range value {
			short[i] = shortened(value[i], most)
		}
		return short
	case map[string]any:
		short := make(map[string]any, len(value))
		for name := range value {
			short[name] = shortened(value[name], most)
		}
		return short
	default:
		return value
	}
}

// firstRune returns the first character of the inside of a JSON string, and how
// many bytes it takes there.
func firstRune(inner []byte) (r rune, size int) {
	if inner[0] != '\\' {
		return utf8.DecodeRune(inner)
	}
	if len(inner) < 2 {
		return utf8.RuneError, 1
	}
	switch inner[1] {
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := escaped(inner)
		if r < 0 {
			return utf8.RuneError, len(inner)
		}
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if pair := utf16.DecodeRune(r, escaped(inner[6:])); pair != utf8.RuneError {
			return pair, 12
		}
		return utf8.RuneError, 6
	default:
		return rune(inner[1]), 2
	}
}

// escaped returns the value of an escape \uXXXX, -1 if there is none.
func escaped(inner []byte) rune {
	if len(inner) < 6 || inner[0] != '\\' || inner[1] != 'u' {
		return -1
	}
	var value rune
	for _, c := range inner[2:6] {
		switch {
		case '0' <= c && c <= '9':
			value = value<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			value = value<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return value
}
