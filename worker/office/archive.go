package office

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// The limits of one document.
const (
	maxDirectory = 4 << 20    // bytes of the list of its entries
	maxEntries   = 20_000     // entries in it
	maxUnpacked  = 128 << 20  // bytes that its parts unpack to together
	maxToken     = 1 << 20    // bytes of one tag, or of one text
	maxDepth     = 500        // of elements in each other
	maxTokens    = 10_000_000 // of XML, all parts together
)

// archive is a document on its way to be read.
type archive struct {
	ctx    context.Context //nolint:containedctx // it lives as long as one Read
	files  map[string]*zip.File
	out    *writer
	left   int64 // bytes that may still be unpacked
	tokens int   // that were read
}

// boundedAt reads from a document, as far as it may.
type boundedAt struct {
	io.ReaderAt
	ctx  context.Context //nolint:containedctx // it lives as long as one Read
	left int
}

// ReadAt refuses to read more than is left.
func (r *boundedAt) ReadAt(p []byte, at int64) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.left -= len(p); r.left < 0 {
		return 0, ErrCostly
	}
	return r.ReaderAt.ReadAt(p, at)
}

// open reads the list of entries.
func open(ctx context.Context, data io.ReaderAt, size int64, out *writer) (*archive, error) {
	reader := &boundedAt{data, ctx, maxDirectory}
	listed, err := zip.NewReader(reader, size)
	switch {
	case errors.Is(err, ErrCostly):
		return nil, ErrCostly
	case err != nil && !errors.Is(err, zip.ErrInsecurePath):
		return nil, ErrDamaged
	case len(listed.File) > maxEntries:
		return nil, ErrCostly
	}
	reader.left = 2 * MaxSize // parts may be read again
	a := &archive{ctx: ctx, files: make(map[string]*zip.File, len(listed.File)), out: out, left: maxUnpacked}
	for _, file := range listed.File {
		if name := partName(file.Name); a.files[name] == nil {
			a.files[name] = file
		}
	}
	return a, nil
}

// partName is a name of a part as it is looked for: they know no case.
func partName(name string) string {
	return strings.ToLower(strings.TrimPrefix(path.Clean(strings.ReplaceAll(name, `\`, "/")), "/"))
}

// has reports whether there is a part.
func (a *archive) has(name string) bool { return a.files[partName(name)] != nil }

// read reads a document of either family.
func (a *archive) read() (kind string, err error) {
	if a.has("mimetype") && a.has("content.xml") {
		return a.openDocument()
	}
	if !a.has("[Content_Types].xml") && !a.has("_rels/.rels") {
		return "", ErrOther
	}
	main := ""
	for _, relation := range a.relations("") {
		if strings.HasSuffix(relation.kind, "/officeDocument") {
			main = relation.target
		}
	}
	if !a.has(main) {
		for _, usual := range []string{"word/document.xml", "xl/workbook.xml", "ppt/presentation.xml"} {
			if a.has(usual) {
				main = usual
			}
		}
	}
	if strings.HasSuffix(main, ".bin") {
		return "", fmt.Errorf("%w: it is a binary workbook. Save it as XLSX", ErrDamaged)
	}
	switch root, err := a.root(main); {
	case err != nil:
		return "", err
	case root == "document":
		return "a Word document", a.word(main)
	case root == "workbook":
		return "an Excel workbook", a.workbook(main)
	case root == "presentation":
		return "a PowerPoint presentation", a.presentation(main)
	default:
		return "", ErrDamaged
	}
}

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
func (a *archive) open(name string) (p *part, close func(), err error) {
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

// relation leads from one part to another.
type relation struct{ id, kind, target string }

// relations are those of a part, "" for the document.
func (a *archive) relations(of string) []relation {
	dir, base := path.Split(of)
	var found []relation
	// What cannot be read leads nowhere, which those notice who follow it.
	_ = a.aside(dir+"_rels/"+base+".rels", starts(func(e xml.StartElement) {
		target := attr(e, "Target")
		if e.Name.Local != "Relationship" || attr(e, "TargetMode") == "External" || len(found) == maxEntries {
			return
		}
		if !strings.HasPrefix(target, "/") {
			target = path.Join(dir, target)
		}
		found = append(found, relation{attr(e, "Id"), attr(e, "Type"), partName(target)})
	}))
	return found
}

// related is where a relation of an id, or of a kind, leads to.
func related(relations []relation, is func(relation) bool) string {
	for _, relation := range relations {
		if is(relation) {
			return relation.target
		}
	}
	return ""
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

// holds reports whether a part that is small contains some bytes.
func (a *archive) holds(name, what string) bool {
	p, closePart, err := a.open(name)
	if err != nil {
		return false
	}
	defer closePart()
	content, err := io.ReadAll(io.LimitReader(p.in, maxToken))
	return err == nil && bytes.Contains(content, []byte(what))
}
