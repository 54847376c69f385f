package office

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// presentation reads the slides of a PowerPoint presentation, each with its notes.
func (a *archive) presentation(main string) error {
	relations := a.relations(main)
	var ids []string
	err := a.walk(main, starts(func(e xml.StartElement) {
		if e.Name.Local == "sldId" && len(ids) < maxEntries {
			for _, at := range e.Attr {
				if at.Name.Local == "id" && at.Name.Space != "" {
					ids = append(ids, at.Value)
				}
			}
		}
	}))
	if err != nil {
		return err
	}
	for i, id := range ids {
		part := related(relations, func(r relation) bool { return r.id == id })
		if !a.has(part) {
			return fmt.Errorf("%w (slide %d is missing)", ErrDamaged, i+1)
		}
		a.out.paragraph(fmt.Sprintf("## Slide %d", i+1), false)
		if err := a.walk(part, &slideReader{out: a.out, table: table{out: a.out}}); err != nil {
			return err
		}
		notes := related(a.relations(part), func(r relation) bool { return strings.HasSuffix(r.kind, "/notesSlide") })
		if notes == "" {
			continue
		}
		if err := a.aside(notes, &slideReader{out: a.out, table: table{out: a.out}, notes: true}); err != nil {
			return err
		}
	}
	return nil
}

// slideReader writes the text of a slide.
type slideReader struct {
	out    *writer
	table  table
	para   block
	level  int
	title  bool
	passed bool // the shape holds no text of the author's: a number, a date
	inText bool

	notes bool // it is the page of notes to a slide
	began bool // the notes have
	body  bool // the shape holds the notes
}

func (r *slideReader) start(e xml.StartElement) bool {
	switch e.Name.Local {
	case "Fallback":
		return true
	case "sp":
		r.title, r.passed, r.body = false, false, false
	case "ph":
		switch attr(e, "type") {
		case "title", "ctrTitle":
			r.title = true
		case "sldNum", "dt", "ftr", "hdr", "sldImg":
			r.passed = true
		case "body":
			r.body = true
		}
	case "cNvPr":
		if description := attr(e, "descr"); description != "" && !r.notes {
			r.out.line(pictureNote(description))
		}
	case "p":
		r.para.Reset()
		r.level = 0
	case "pPr":
		if level := attr(e, "lvl"); len(level) == 1 {
			r.level = int(level[0] - '0')
		}
	case "t":
		r.inText = true
	case "br":
		r.para.add(" ")
	case "tbl":
		r.table.begin()
	case "tr":
		r.table.beginRow()
	}
	return false
}

func (r *slideReader) text(text []byte) {
	if r.inText {
		r.para.add(string(text))
	}
}

func (r *slideReader) end(name string) {
	switch name {
	case "t":
		r.inText = false
	case "p":
		r.paragraph(oneLine(r.para.take()))
	case "tc":
		r.table.endCell()
	case "tr":
		r.table.endRow()
	case "tbl":
		r.table.end()
	}
}

func (r *slideReader) paragraph(text string) {
	switch {
	case text == "", r.passed, r.notes && !r.body:
	case r.table.depth > 0:
		r.table.cell.add(text + " ")
	case r.title:
		r.out.line("### " + text)
	case r.notes && !r.began:
		r.began = true
		r.out.paragraph("Notes: "+text, false)
	default:
		r.out.line(strings.Repeat("  ", min(max(r.level, 0), 8)) + text)
	}
}
