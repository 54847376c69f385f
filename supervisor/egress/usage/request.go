package usage

import "bytes"

const (
	// What is not counted by a server is taken to have two tokens for five bytes: as
	// many as the worker expects of JSON and of what commands print, see
	// worker/agent/estimate.go. Prose has fewer. Text that is made for it can have more,
	// in the worst case one for each byte.
	tokensOf  = 2
	bytesEach = 5
	// imageTokens is about what the large providers count for an image, and what the
	// worker expects of one.
	imageTokens = 1_200
)

// estimate is how many tokens a text of n bytes has.
func estimate(n int64) int64 { return (n*tokensOf + bytesEach - 1) / bytesEach }

// Request estimates the tokens of a request that goes by. The zero value is ready.
type Request struct {
	walk   walker
	bytes  int64
	images int64 // how many
	pixels int64 // bytes of images
}

// Take takes the next bytes of the body.
func (r *Request) Take(p []byte) {
	r.bytes += int64(len(p))
	r.walk.walk(p, r)
}

// Tokens is the estimate for what was taken. All of a body counts, but for images where
// a server looks for images: whatever else is put there, no model reads.
func (r *Request) Tokens() int64 { return estimate(r.bytes-r.pixels) + r.images*imageTokens }

func (r *Request) piece(w *walker, n int) {
	if inImage(w) {
		r.pixels += int64(n)
	}
}

// scalar takes back what has turned out to be no image.
func (r *Request) scalar(w *walker) {
	if w.state != inString || !inImage(w) {
		return
	}
	r.images++
	if begins, _ := w.text(); !isImage(begins) {
		r.pixels -= int64(w.length)
	}
}

func (r *Request) whole(*walker) {}

// inImage reports whether the place is the string of an image: messages, content,
// image_url, url with chat completions; messages, content, source, data with
// Anthropic, perhaps within the content of a tool's result; messages, images with
// Ollama. Lists lie between. The same words elsewhere, in the schema of a tool for
// one, are text to a model.
func inImage(w *walker) bool {
	k := &w.keys
	if w.state != inString || k[1] != messages {
		return false
	}
	switch {
	case w.depth == 4:
		return k[3] == images
	case w.depth == 6 && k[3] == content:
		return k[5] == imageURL && k[6] == url || k[5] == source && k[6] == data
	case w.depth == 8 && k[3] == content && k[5] == content:
		return k[7] == source && k[8] == data
	default:
		return false
	}
}

// isImage reports whether a string begins as an image does: a data URL of one, or the
// Base64 of PNG, JPEG, GIF or WebP. A document is in the same place with Anthropic, and
// is read.
func isImage(begins []byte) bool {
	for _, first := range []string{"data:image/", "iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR"} {
		if bytes.HasPrefix(begins, []byte(first)) {
			return true
		}
	}
	return false
}
