package api

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// outline is what of a stream does not follow from the response that it makes:
// where its pieces of text end, and when an item began and a call ended among the
// other events. It is stored beside the response, about a byte for each event of
// text, so that replayResponse can make the same stream again.
//
// Behind one byte for the format it is a row of entries: 0, the next item begins; 1 and an index, the mcp_call
// there ends; n+1, the next n bytes of the open item's text are sent (2 and more).
// Numbers are written as in encoding/binary's uvarint.
type outline []byte

// The first byte of an outline. The second one is that of a response that was gone
// on with after a crash: what was sent last before that is not in it.
const (
	outlineFormat  = 1
	outlineResumed = 2
)

func newOutline() outline { return outline{outlineFormat} }

// resumed marks the outline as that of a response which was gone on with.
func (o *outline) resumed() { (*o)[0] = outlineResumed }

// whole says whether all that was ever sent is in it.
func (o *outline) whole() bool { return len(*o) > 0 && (*o)[0] == outlineFormat }

// entries returns the entries, and false if there is no outline, or one of a
// format that is not known.
func (o *outline) entries() (outline, bool) {
	if len(*o) == 0 || (*o)[0] != outlineFormat && (*o)[0] != outlineResumed {
		return nil, false
	}
	return (*o)[1:], true
}

func (o *outline) item() { *o = append(*o, 0) }

func (o *outline) end(index int) {
	*o = binary.AppendUvarint(append(*o, 1), uint64(index)) //nolint:gosec // an index is no negative number
}

// delta notes a piece of text that was sent, the inside of a JSON string.
func (o *outline) delta(inner []byte) {
	if n := textLength(inner); n > 0 {
		*o = binary.AppendUvarint(*o, uint64(n)+1)
	}
}

// next takes the first of the entries off: what it is, and its number. It is false at the end.
func (o *outline) next() (kind outlineEntry, n int, ok bool) {
	value, size := binary.Uvarint(*o)
	if size <= 0 {
		return 0, 0, false
	}
	*o = (*o)[size:]
	switch value {
	case 0:
		return itemBegins, 0, true
	case 1:
		index, size := binary.Uvarint(*o)
		if size <= 0 {
			return 0, 0, false
		}
		*o = (*o)[size:]
		return callEnds, int(min(index, 1<<30)), true
	default:
		return textSent, int(min(value-1, 1<<30)), true
	}
}

// outlineEntry is a kind of entry.
type outlineEntry uint8

const (
	itemBegins outlineEntry = iota
	callEnds
	textSent
)

// textLength is how many bytes of text the inside of a JSON string is.
func textLength(inner []byte) int {
	if bytes.IndexByte(inner, '\\') < 0 {
		return len(inner)
	}
	n := 0
	for len(inner) > 0 {
		r, size := firstRune(inner)
		n += utf8.RuneLen(r)
		inner = inner[min(size, len(inner)):]
	}
	return n
}
