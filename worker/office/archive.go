package office

import (
	"archive/zip"
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
