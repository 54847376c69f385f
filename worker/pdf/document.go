package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	library "github.com/ledongthuc/pdf"
)

const (
	// maxContent is how many bytes the streams of a document may unfold to that
	// are read. Text is a small part of it, drawings are the large one.
	maxContent = 128 << 20
	// maxNodes is how many nodes of the tree of pages are looked at, maxTree how
	// deep it may be. A node may name itself as its own child.
	maxNodes = 20_000
	maxTree  = 50
)

// errCircles ends a document and not only a page of it.
var errCircles = fmt.Errorf("%w: its pages go round in circles", ErrDamaged)

// document is one on its way to text.
type document struct {
	layout layout
	fonts  map[string]*font // by how their dictionaries are written
	plain  *font            // where none is set
	silent map[string]bool  // forms without text; plots have one for each point
	glyphs glyphs           // once they were needed
	left   int64            // of maxContent
	nodes  int
	pages  int
	broken int // pages that could not be read in full
}

func newDocument(limit int) *document {
	return &document{
		layout: layout{limit: limit},
		fonts:  map[string]*font{}, plain: plainFont(), silent: map[string]bool{},
		left: maxContent,
	}
}

// read returns the text.
func (d *document) read(data []byte) (string, error) {
	var reader *library.Reader
	err := attempt(func() (err error) {
		data, err = tidied(data)
		if err == nil {
			reader, err = library.NewReader(bytes.NewReader(data), int64(len(data)))
		}
		return err
	})
	switch {
	case errors.Is(err, ErrDamaged):
		return "", err
	case err != nil && strings.Contains(err.Error(), "encrypt"):
		return "", ErrEncrypted // with a password, or in a way that the library does not know
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	err = attempt(func() error {
		return d.tree(reader.Trailer().Key("Root").Key("Pages"), library.Value{}, 0)
	})
	switch {
	case errors.Is(err, errFull):
	case err != nil:
		return "", err
	case d.pages == 0:
		return "", fmt.Errorf("%w: it has no pages", ErrDamaged)
	case d.broken > 0 && d.layout.pieces == d.broken: // nothing but marks
		return "", fmt.Errorf("%w: none of its pages can be read", ErrDamaged)
	}
	return d.layout.text(), nil
}

// tidied writes what a document begins and ends with as the library wants it. It
// knows neither PDF 2.0 nor blanks behind the version, and nothing may stand
// before the one or after the other. The places in a document count from its
// header.
func tidied(data []byte) ([]byte, error) {
	const header = "%PDF-1.7\n"
	begin := bytes.Index(data[:min(len(data), 1024)], []byte("%PDF-"))
	if begin < 0 || len(data) < begin+len(header) {
		return nil, fmt.Errorf("%w: it has no header", ErrDamaged)
	}
	data = data[begin:]
	end := bytes.LastIndex(data, []byte("startxref"))
	if end < 0 {
		return nil, fmt.Errorf("%w: its end is missing", ErrDamaged)
	}
	place := bytes.TrimLeft(data[end+len("startxref"):], "\r\n\t ")
	digits := len(place) - len(bytes.TrimLeft(place, "0123456789"))
	return fmt.Appendf(nil, "%s%s\nstartxref\n%s\n%%%%EOF\n", header, data[len(header):end], place[:digits]), nil
}

// tree reads the pages below a node in their order. Resources are what the nodes
// above have for it.
func (d *document) tree(node, resources library.Value, depth int) error {
	if d.nodes++; d.nodes > maxNodes || depth > maxTree {
		return errCircles
	}
	if own := node.Key("Resources"); !own.IsNull() {
		resources = own
	}
	kids := node.Key("Kids")
	if kids.Kind() != library.Array {
		d.pages++
		if node.Kind() != library.Dict {
			return fmt.Errorf("%w: a page is not there", ErrDamaged)
		}
		return d.page(node, resources)
	}
	for i := range kids.Len() {
		pages := d.pages
		err := attempt(func() error { return d.tree(kids.Index(i), resources, depth+1) })
		if err != nil && d.pages == pages {
			d.pages++ // it is not known what was there
		}
		if err := d.mark(err); err != nil {
			return err
		}
	}
	return nil
}

// page reads a page, and then what is filled in or noted on it.
func (d *document) page(page, resources library.Value) error {
	d.layout.page()
	err := attempt(func() error { return d.run(d.content(page.Key("Contents")), resources, move(0, 0), 0) })
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	notes := page.Key("Annots")
	for i := range notes.Len() {
		looks := notes.Index(i).Key("AP").Key("N")
		if looks.Kind() != library.Stream {
			continue
		}
		d.layout.last = piece{}
		d.layout.gap = "\n"
		rect := notes.Index(i).Key("Rect")
		place := move(rect.Index(0).Float64(), rect.Index(1).Float64())
		if noted := d.run(d.content(looks), looks.Key("Resources"), matrixIn(looks.Key("Matrix")).times(place), 0); noted != nil {
			return noted
		}
	}
	return err
}

// mark says in the text that something is missing there, so that nobody takes
// what there is for all. Errors of another kind are handed on.
func (d *document) mark(err error) error {
	if !errors.Is(err, ErrDamaged) || errors.Is(err, errCircles) {
		return err
	}
	d.broken++
	d.layout.page()
	return d.layout.place(piece{text: fmt.Sprintf("[page %d of the document is damaged and could not be read in full]", d.pages)})
}

// font returns a font. Pages share them, and reading one takes longer than most
// pages.
func (d *document) font(v library.Value) *font {
	key := v.String()
	f, known := d.fonts[key]
	if !known {
		f = d.loadFont(v)
		d.fonts[key] = f
	}
	return f
}

// content is the data of a content stream, or of several that continue each
// other.
func (d *document) content(v library.Value) io.Reader {
	switch v.Kind() {
	case library.Stream:
		return d.budget(v.Reader())
	case library.Array:
		var all []io.Reader
		for i := range v.Len() {
			if v.Index(i).Kind() == library.Stream {
				all = append(all, d.budget(v.Index(i).Reader()), strings.NewReader("\n"))
			}
		}
		return io.MultiReader(all...)
	default:
		return strings.NewReader("") // a page may be empty
	}
}

// budget counts what is read against maxContent.
func (d *document) budget(in io.Reader) io.Reader { return &budgeted{in: in, left: &d.left} }

type budgeted struct {
	in   io.Reader
	left *int64
}

// Read reads until the budget is used up.
func (b *budgeted) Read(p []byte) (int, error) {
	if *b.left <= 0 {
		return 0, ErrCostly
	}
	n, err := b.in.Read(p)
	*b.left -= int64(n)
	return n, err
}

// ended is what the end of a stream means: nothing if it is the right one.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	if errors.Is(err, ErrCostly) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// attempt turns panics into ErrDamaged: the library panics at whatever it did not
// expect.
func attempt(do func() error) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, x)
		}
	}()
	return do()
}
