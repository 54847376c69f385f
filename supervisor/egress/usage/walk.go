package usage

import "bytes"

const (
	// maxDepth is how deep a value may be. What is deeper is broken.
	maxDepth = 64
	// maxToken is how much is kept of a key, a number or the beginning of a string: the
	// longest word that means something has 27 bytes.
	maxToken = 32
)

// word is a key that means something.
type word uint8

const (
	other word = iota
	choices
	completionTokens
	content
	contentBlock
	cacheCreation
	cacheRead
	data
	delta
	evalCount
	imageURL
	images
	inputTokens
	message
	messages
	outputTokens
	promptEvalCount
	promptTokens
	source
	totalTokens
	url
	usage
)

// wordOf finds the word of a key. One that is spelled with escapes is none.
func wordOf(key []byte) word {
	switch string(key) {
	case "choices":
		return choices
	case "completion_tokens":
		return completionTokens
	case "content":
		return content
	case "content_block":
		return contentBlock
	case "cache_creation_input_tokens":
		return cacheCreation
	case "cache_read_input_tokens":
		return cacheRead
	case "data":
		return data
	case "delta":
		return delta
	case "eval_count":
		return evalCount
	case "image_url":
		return imageURL
	case "images":
		return images
	case "input_tokens":
		return inputTokens
	case "message":
		return message
	case "messages":
		return messages
	case "output_tokens":
		return outputTokens
	case "prompt_eval_count":
		return promptEvalCount
	case "prompt_tokens":
		return promptTokens
	case "source":
		return source
	case "total_tokens":
		return totalTokens
	case "url":
		return url
	case "usage":
		return usage
	default:
		return other
	}
}

// state is what a walker expects next.
type state uint8

const (
	wantValue state = iota
	wantFirst       // a value, or the end of the list
	wantKey
	wantFirstKey // a key, or the end of the object
	wantColon
	wantNext // a comma, or the end of what it is in
	inKey
	inString
	inScalar // a number, or a literal
	broken
)

// watcher is told of what a walker comes by. The walker says where that is.
type watcher interface {
	// piece is told of the next n bytes of a string.
	piece(w *walker, n int)
	// scalar is told of a string that has ended, a number or a literal; its beginning is
	// in token.
	scalar(w *walker)
	// whole is told of the end of an object or a list that was in nothing else.
	whole(w *walker)
}

// walker walks through JSON values, one after the other, that come in pieces cut
// anywhere. It checks no more of them than it needs to know strings, keys and nesting;
// what it does not understand is broken, until reset.
type walker struct {
	state   state
	depth   int
	objects [maxDepth + 1]bool // which of what encloses the place is an object, from 1
	keys    [maxDepth + 1]word // of the member that the place is in
	escaped bool               // the next byte of the string is after a backslash
	length  int                // of the string so far
	token   [maxToken]byte
	kept    int // of token; more than maxToken if it was longer
}

func (w *walker) reset() { w.state, w.depth, w.escaped = wantValue, 0, false }

// text is what is kept of the token, whether that is all of it.
func (w *walker) text() (text []byte, all bool) {
	return w.token[:min(w.kept, maxToken)], w.kept <= maxToken
}

func (w *walker) keep(piece []byte) {
	if w.kept < maxToken {
		copy(w.token[w.kept:], piece)
	}
	w.kept = min(w.kept+len(piece), maxToken+1)
}

// walk takes the next bytes.
func (w *walker) walk(p []byte, watch watcher) {
	for len(p) > 0 && w.state != broken {
		switch w.state {
		case inKey, inString:
			p = p[w.string(p, watch):]
		case inScalar:
			p = p[w.number(p, watch):]
		default:
			w.step(p[0], watch)
			if w.state != inScalar { // whose first byte it is
				p = p[1:]
			}
		}
	}
}

// string takes what p has of the string that the walker is in, and returns how much
// that is. However many escapes there are, each byte is looked at a few times only.
func (w *walker) string(p []byte, watch watcher) int {
	i, quote, slash := 0, -1, -1
	for i < len(p) {
		if w.escaped {
			w.escaped = false
			i++
			continue
		}
		quote, slash = next(p, '"', i, quote), next(p, '\\', i, slash)
		if i = min(quote, slash); i == len(p) {
			break
		}
		if i == slash {
			w.escaped = true
			i++
			continue
		}
		w.advance(p[:i], watch)
		w.end(watch)
		return i + 1
	}
	w.advance(p, watch)
	return len(p)
}

// next is where the first c at or after from is, or the length of p. At is what was
// found before.
func next(p []byte, c byte, from, at int) int {
	if at >= from {
		return at
	}
	if n := bytes.IndexByte(p[from:], c); n >= 0 {
		return from + n
	}
	return len(p)
}

// advance takes in a piece of a string.
func (w *walker) advance(piece []byte, watch watcher) {
	w.keep(piece)
	w.length += len(piece)
	watch.piece(w, len(piece))
}

// end takes in that a string has ended.
func (w *walker) end(watch watcher) {
	if w.state == inString {
		watch.scalar(w)
		w.state = w.after()
		return
	}
	if key, all := w.text(); all {
		w.keys[w.depth] = wordOf(key)
	}
	w.state = wantColon
}

// number takes what p has of a number or a literal, and returns how much that is.
func (w *walker) number(p []byte, watch watcher) int {
	for i, c := range p {
		switch c {
		case ',', ']', '}', ' ', '\t', '\n', '\r':
			w.keep(p[:i])
			watch.scalar(w)
			w.state = w.after()
			return i
		case '"', '{', '[', ':', '\\':
			w.state = broken
			return i
		}
	}
	w.keep(p)
	return len(p)
}

// after is what is expected after a value.
func (w *walker) after() state {
	if w.depth == 0 {
		return wantValue
	}
	return wantNext
}

// step takes a byte between values.
func (w *walker) step(c byte, watch watcher) {
	switch c {
	case ' ', '\t', '\n', '\r':
		return
	}
	switch w.state {
	case wantValue, wantFirst:
		if c == ']' && w.state == wantFirst {
			w.close(c, watch)
			return
		}
		w.begin(c)
	case wantKey, wantFirstKey:
		switch {
		case c == '"':
			w.state, w.kept, w.length, w.keys[w.depth] = inKey, 0, 0, other
		case c == '}' && w.state == wantFirstKey:
			w.close(c, watch)
		default:
			w.state = broken
		}
	case wantColon:
		if w.state = wantValue; c != ':' {
			w.state = broken
		}
	case wantNext:
		switch {
		case c != ',':
			w.close(c, watch)
		case w.objects[w.depth]:
			w.state = wantKey
		default:
			w.state = wantValue
		}
	}
}

// begin begins a value.
func (w *walker) begin(c byte) {
	switch c {
	case '"':
		w.state, w.kept, w.length = inString, 0, 0
	case '{', '[':
		if w.depth == maxDepth {
			w.state = broken
			return
		}
		w.depth++
		w.objects[w.depth], w.keys[w.depth] = c == '{', other
		if w.state = wantFirst; c == '{' {
			w.state = wantFirstKey
		}
	case ',', ':', ']', '}', '\\':
		w.state = broken
	default:
		w.state, w.kept = inScalar, 0
	}
}

// close ends an object or a list.
func (w *walker) close(c byte, watch watcher) {
	if w.depth == 0 || c != '}' && c != ']' || w.objects[w.depth] != (c == '}') {
		w.state = broken
		return
	}
	w.depth--
	if w.state = w.after(); w.depth == 0 {
		watch.whole(w)
	}
}
