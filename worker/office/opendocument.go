package office

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// openDocument reads what LibreOffice and its relatives write.
func (a *archive) openDocument() (kind string, err error) {
	p, closePart, err := a.open("mimetype")
	if err != nil {
		return "", err
	}
	media, err := io.ReadAll(io.LimitReader(p.in, 200))
	closePart()
	if err != nil {
		return "", ErrDamaged
	}
	r := &openReader{out: a.out, table: table{out: a.out}, rows: rows{out: a.out}}
	of, ok := strings.CutPrefix(strings.TrimSpace(string(media)), "application/vnd.oasis.opendocument.")
	switch {
	case !ok:
		return "", ErrOther
	case strings.HasPrefix(of, "text"):
		kind = "an OpenDocument text"
	case strings.HasPrefix(of, "spreadsheet"):
		kind, r.sheets = "an OpenDocument spreadsheet", true
	case strings.HasPrefix(of, "presentation"), strings.HasPrefix(of, "graphics"):
		kind, r.slides = "an OpenDocument presentation", true
	default:
		return "", ErrOther
	}
	if a.holds("META-INF/manifest.xml", "encryption-data") {
		return "", ErrEncrypted
	}
	return kind, a.walk("content.xml", r)
}

// openReader makes text of the content of an OpenDocument.
type openReader struct {
	out            *writer
	table          table
	rows           rows
	sheets, slides bool
	page           int // number of the slide

	depth   int // of paragraphs in each other, as notes and frames make them
	para    block
	heading int
	lists   int
	notes   bool // those to a slide
	began   bool // there are some

	row, column int // of the cell
	again       int // how many rows, and columns, are like this one
	columns     int
	value       string
	cell        block
}

func (r *openReader) start(e xml.StartElement) bool {
	switch e.Name.Local {
	case "tracked-changes", "annotation", "forms", "note-citation", "named-expressions", "automatic-styles":
		return true
	case "h":
		r.heading, _ = strconv.Atoi(attr(e, "outline-level"))
		r.begin()
	case "p":
		r.heading = 0
		r.begin()
	case "s":
		n, err := strconv.Atoi(attr(e, "c"))
		if err != nil {
			n = 1
		}
		r.para.add(strings.Repeat(" ", min(max(n, 0), 100)))
	case "tab":
		r.para.add("\t")
	case "line-break":
		r.para.add("\n")
	case "note":
		r.para.add(" [note:")
	case "list":
		r.lists++
	case "image":
		r.para.add("[image]")
	case "page":
		if r.slides {
			r.page++
			r.out.paragraph(fmt.Sprintf("## Slide %d", r.page), false)
		}
	case "notes":
		r.notes, r.began = true, false
	default:
		return r.startTable(e)
	}
	return false
}

func (r *openReader) startTable(e xml.StartElement) bool {
	switch e.Name.Local {
	case "table":
		if r.sheets {
			r.rows.written, r.row = 0, 0
			r.out.paragraph("## Sheet: "+oneLine(attr(e, "name")), false)
		} else {
			r.table.begin()
		}
	case "table-row":
		r.column, r.again = 0, repeated(e, "number-rows-repeated")
		r.table.beginRow()
	case "table-cell", "covered-table-cell":
		r.columns = repeated(e, "number-columns-repeated")
		r.value = ""
		r.cell.Reset()
		switch attr(e, "value-type") {
		case "float":
			r.value = attr(e, "value")
		case "date":
			r.value = strings.Replace(attr(e, "date-value"), "T", " ", 1)
		}
	case "shapes": // pictures over a sheet
		return r.sheets
	}
	return false
}

// repeated is how often a row or a cell is there.
func repeated(e xml.StartElement, name string) int {
	n, err := strconv.Atoi(attr(e, name))
	if err != nil || n < 1 {
		return 1
	}
	return min(n, 1<<24)
}

// begin begins a paragraph.
func (r *openReader) begin() {
	if r.depth++; r.depth == 1 {
		r.para.Reset()
	} else {
		r.para.add(" ")
	}
}

func (r *openReader) text(text []byte) {
	if r.depth > 0 {
		r.para.add(string(text))
	}
}

func (r *openReader) end(name string) {
	switch name {
	case "p", "h":
		if r.depth--; r.depth == 0 {
			r.paragraph(r.para.take())
		}
	case "note":
		r.para.add("]")
	case "list":
		r.lists--
	case "notes":
		r.notes = false
	case "table":
		if !r.sheets {
			r.table.end()
		}
	case "table-row":
		if r.sheets {
			r.rows.endRow(r.row+1, r.again)
			r.row += r.again
		} else {
			r.table.endRow()
		}
	case "table-cell", "covered-table-cell":
		r.endCell()
	}
}

func (r *openReader) endCell() {
	if !r.sheets {
		r.table.endCell()
		return
	}
	text := r.cell.take()
	if r.value != "" {
		text = r.value // as it is, not as it is rounded
	}
	for range min(r.columns, 100) { // more are empty, or of one color
		r.column++
		r.rows.cell(r.column, text)
		if text == "" {
			break
		}
	}
	r.column += r.columns - min(r.columns, 100)
	if text == "" {
		r.column += min(r.columns, 100) - 1
	}
}

// paragraph writes a paragraph.
func (r *openReader) paragraph(text string) {
	switch {
	case text == "":
	case r.sheets:
		r.cell.add(text + " ")
	case r.table.depth > 0:
		r.table.cell.add(text + " ")
	case r.heading > 0:
		r.out.paragraph(strings.Repeat("#", min(r.heading, 6))+" "+oneLine(text), false)
	case r.lists > 0:
		r.out.paragraph(strings.Repeat("  ", min(r.lists-1, 8))+"- "+text, true)
	case r.slides && r.notes && !r.began:
		r.began = true
		r.out.paragraph("Notes: "+oneLine(text), false)
	case r.slides:
		r.out.line(oneLine(text))
	default:
		r.out.paragraph(oneLine(text), false)
	}
}
