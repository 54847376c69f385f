package llm

import (
	"context"
	"slices"
)

// unseen is what a model that cannot see reads in the place of an image.
const unseen = "[There is an image here that you cannot see, because you take text only. If it matters, tell the person so.]"

// hasImages reports whether a message of the request shows an image.
func (r Request) hasImages() bool {
	return slices.ContainsFunc(r.Messages, func(m Message) bool {
		return slices.ContainsFunc(m.Parts, func(p Part) bool { return p.ImageURL != "" })
	})
}

// fit returns the request as the client's model can take it: when it is known
// not to see, notes stand where images were. When nobody knows, the images are
// sent; a refusal then says what is wrong.
func fit(ctx context.Context, client Client, req Request) Request {
	if !req.hasImages() || CapabilitiesOf(ctx, client).Vision != Unsupported {
		return req
	}
	messages := slices.Clone(req.Messages)
	for i, m := range messages {
		parts := slices.Clone(m.Parts)
		for j, p := range parts {
			if p.ImageURL != "" {
				parts[j] = Part{Text: unseen}
			}
		}
		messages[i].Parts = parts
	}
	req.Messages = messages
	return req
}
