package llm

import (
	"cmp"
	"context"
	"fmt"
	"strings"
)

// Support says whether a model can do something. The zero value is that nobody
// knows.
type Support int8

// What is known of an ability.
const (
	Unknown Support = iota
	Supported
	Unsupported
)

// SupportIf is Supported if yes, and Unsupported otherwise.
func SupportIf(yes bool) Support {
	if yes {
		return Supported
	}
	return Unsupported
}

// Capabilities is what is known of a model. What nobody knows is zero.
type Capabilities struct {
	Upstream      string // whose they are, where there are several: see Error.Upstream
	ContextLength int    // tokens of request and answer together
	OutputLimit   int    // tokens of an answer
	Tools         Support
	Vision        Support
	Reasoning     Support
}

// Or returns c with what it does not know taken from other.
func (c Capabilities) Or(other Capabilities) Capabilities {
	return Capabilities{
		Upstream:      cmp.Or(c.Upstream, other.Upstream),
		ContextLength: cmp.Or(c.ContextLength, other.ContextLength),
		OutputLimit:   cmp.Or(c.OutputLimit, other.OutputLimit),
		Tools:         cmp.Or(c.Tools, other.Tools),
		Vision:        cmp.Or(c.Vision, other.Vision),
		Reasoning:     cmp.Or(c.Reasoning, other.Reasoning),
	}
}

// String names what is known in a few words for people, or "".
func (c Capabilities) String() string {
	var words []string
	if c.ContextLength > 0 {
		words = append(words, fmt.Sprintf("context %d tokens", c.ContextLength))
	}
	for _, ability := range []struct {
		name    string
		support Support
	}{{"tools", c.Tools}, {"images", c.Vision}, {"thinking", c.Reasoning}} {
		switch ability.support {
		case Supported:
			words = append(words, ability.name)
		case Unsupported:
			words = append(words, "no "+ability.name)
		case Unknown:
		}
	}
	return strings.Join(words, ", ")
}

// Capable is a Client that can say what its model is able to do: by what was set,
// else by what the provider says, else by Known. The provider is asked at most
// once, when it is first wanted, and not for long; when ctx has ended already
// nobody is asked, and what is known so far is returned.
type Capable interface {
	Capabilities(ctx context.Context) Capabilities
}

// CapabilitiesOf asks a client, if it can say.
func CapabilitiesOf(ctx context.Context, client Client) Capabilities {
	if capable, ok := client.(Capable); ok {
		return capable.Capabilities(ctx)
	}
	return Capabilities{}
}
