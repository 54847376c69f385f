package office

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// part reads one part for an XML decoder, byte by byte: so the decoder takes
// nothing in advance, and what one token takes is known.
type part struct {
	a     *archive
	in    *bufio.Reader
	token int // bytes since the token began
}

// ReadByte reads a byte, unless one of the limits is reached.
func (p *part) ReadByte() (byte, error) {
	p.token++
	p.a.left--
	switch {
	case p.token > maxToken, p.a.left < 0:
		return 0, ErrCostly
	case p.token&0xffff == 0 && p.a.ctx.Err() != nil:
		return 0, p.a.ctx.Err()
	}
	return p.in.ReadByte()
}

// Read is not used by a decoder that may read bytes.
func (p *part) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

// open opens a part. Close gives it back.
func (a *archive) open(name string) (p *part, closePart func(), err error) {
	file := a.files[partName(name)]
	switch {
	case file == nil:
		return nil, nil, fmt.Errorf("%w (%s is missing)", ErrDamaged, short(name))
	case file.Flags&1 != 0:
		return nil, nil, ErrEncrypted
	}
	in, err := file.Open()
	if err != nil {
		return nil, nil, ErrDamaged
	}
	return &part{a: a, in: bufio.NewReader(in)}, func() { _ = in.Close() }, nil
}

// short is a name as it may stand in an error.
func short(name string) string {
	return strings.ToValidUTF8(name[:min(len(name), 60)], "")
}

// visitor gets what is in a part, in its order.
type visitor interface {
	// start gets an element, and says whether all that is in it is passed over.
	start(e xml.StartElement) (skip bool)
	end(name string)
	text(text []byte)
}

// starts is a visitor of elements only.
type starts func(e xml.StartElement)

func (f starts) start(e xml.StartElement) bool { f(e); return false }
func (starts) end(string)                      {}
func (starts) text([]byte)                     {}

// walk reads a part. It ends with errFull when no more text is wanted.
func (a *archive) walk(name string, v visitor) error {
	p, closePart, err := a.open(name)
	if err != nil {
		return err
	}
	defer closePart()
	decoder := xml.NewDecoder(p)
	depth, skipped := 0, 0 // skipped: how deep in what is passed over
	for {
		p.token = 0
		token, err := decoder.Token()
		if err != nil {
			return a.broken(err)
		}
		if a.tokens++; a.tokens > maxTokens {
			return ErrCostly
		}
		if a.tokens%1024 == 0 && a.ctx.Err() != nil {
			return a.ctx.Err()
		}
		if a.out.full {
			return errFull
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth++; depth > maxDepth {
				return fmt.Errorf("%w: its parts lie more than %d deep in each other", ErrCostly, maxDepth)
			}
			if skipped > 0 || v.start(token) {
				skipped++
			}
		case xml.EndElement:
			depth--
			if skipped > 0 {
				skipped--
			} else {
				v.end(token.Name.Local)
			}
		case xml.CharData:
			if skipped == 0 {
				v.text(token)
			}
		}
	}
}

// broken is what the end of a part means, or a failure in it.
func (a *archive) broken(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case a.ctx.Err() != nil:
		return a.ctx.Err()
	case errors.Is(err, ErrCostly):
		return ErrCostly
	default:
		return ErrDamaged
	}
}

// aside reads a part that the text can do without.
func (a *archive) aside(name string, v visitor) error {
	if !a.has(name) {
		return nil
	}
	if err := a.walk(name, v); !errors.Is(err, ErrDamaged) {
		return err
	}
	return nil
}

// root is the name of the element that a part consists of.
func (a *archive) root(name string) (string, error) {
	p, closePart, err := a.open(name)
	if err != nil {
		return "", err
	}
	defer closePart()
	decoder := xml.NewDecoder(p)
	for {
		token, err := decoder.Token()
		if err != nil {
			if err := a.broken(err); err != nil {
				return "", err
			}
			return "", ErrDamaged
		}
		if e, ok := token.(xml.StartElement); ok {
			return e.Name.Local, nil
		}
	}
}

// attr is the value of an attribute, whatever its name space.
func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}
