package llm

import (
	"context"
	"slices"
	"strings"
)

// What a model reads in the place of an image.
const (
	unseen = "[There is an image here that you cannot see, because you take text only. If it matters, tell the person so.]"
	faded  = "[There was an image here, which you were shown. Look at it again if you need it.]"
)

// What a request holds of images that tools showed, the newest ones: providers
// take requests of some 30 MB and some 20 images, and an agent looks at many.
const (
	maxToolImages     = 20
	maxToolImageBytes = 16 << 20
)

// hasImages reports whether a message shows an image.
func (m Message) hasImages() bool {
	return slices.ContainsFunc(m.Parts, func(p Part) bool { return p.ImageURL != "" })
}

// hasImages reports whether a message of the request shows an image.
func (r Request) hasImages() bool { return slices.ContainsFunc(r.Messages, Message.hasImages) }

// toolImages reports whether the result of a tool shows an image.
func (r Request) toolImages() bool {
	return slices.ContainsFunc(r.Messages, func(m Message) bool { return m.Role == Tool && m.hasImages() })
}

// fit returns the request as the link's model can take it: when it is known not
// to see, notes stand where images were. When nobody knows, the images are sent,
// and a refusal then says what is wrong. For those of people it is told to them;
// those that tools showed are left out from then on, see learn.
func (l *link) fit(ctx context.Context, req Request, blind bool) Request {
	if !req.hasImages() {
		return req
	}
	unsighted := CapabilitiesOf(ctx, l.Client).Vision == Unsupported
	blind = blind || l.blind.Load()
	images, size := 0, 0 // that tools showed
	messages := slices.Clone(req.Messages)
	for i, m := range slices.Backward(messages) {
		if !m.hasImages() {
			continue
		}
		parts := slices.Clone(m.Parts)
		for j, p := range slices.Backward(parts) {
			if p.ImageURL == "" {
				continue
			}
			if m.Role == Tool {
				images, size = images+1, size+len(p.ImageURL)
			}
			switch {
			case unsighted, blind && m.Role == Tool:
				parts[j] = Part{Text: unseen}
			case m.Role == Tool && (images > maxToolImages || size > maxToolImageBytes):
				parts[j] = Part{Text: faded}
			}
		}
		messages[i].Parts = parts
	}
	req.Messages = messages
	return req
}

// learn takes note of a refusal of images, and reports whether the call may be
// repeated without those that tools showed. They are no reason for a turn to
// fail: a model may have looked at a file without knowing that it cannot see. What
// is the fault of one image counts for this call only.
func (l *link) learn(c *call, failed *Error) bool {
	words := strings.ToLower(failed.Message)
	mentions := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(words, part) })
	}
	switch failed.Class {
	case Auth, Billing, RateLimit, Network, Overflow, ContentFilter:
		return false
	default:
	}
	if c.shown || c.blind || l.blind.Load() || !c.req.toolImages() || !mentions("image", "vision", "multimodal", "multi-modal") {
		return false
	}
	c.blind = true
	if !mentions("size", "large", "dimension", "pixel", "process", "invalid", "format", "corrupt", "decode", "many") {
		l.blind.Store(true)
	}
	c.chain.log.Info("model does not take an image that a tool showed", "upstream", l.Name, "error", failed)
	return true
}
