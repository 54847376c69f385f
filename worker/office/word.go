package office

import (
	"encoding/xml"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// word reads a Word document: the text, then the notes to it.
func (a *archive) word(main string) error {
	dir := path.Dir(main)
	w := &wordReader{out: a.out, table: table{out: a.out}, styles: map[string]wordStyle{}}
	if err := a.aside(path.Join(dir, "styles.xml"), &styleReader{styles: w.styles}); err != nil {
		return err
	}
	numbers := &numberReader{ordered: map[string]map[int]bool{}, lists: map[string]string{}}
	if err := a.aside(path.Join(dir, "numbering.xml"), numbers); err != nil {
		return err
	}
	w.numbers = numbers
	if err := a.walk(main, w); err != nil {
		return err
	}
	for _, notes := range []struct{ part, prefix string }{{"footnotes.xml", ""}, {"endnotes.xml", "e"}} {
		w.notes = notes.prefix
		if err := a.aside(path.Join(dir, notes.part), w); err != nil {
			return err
		}
	}
	return nil
}

// wordStyle is what a style says of its paragraphs.
type wordStyle struct {
	heading int    // level, 0 if it is none
	list    string // "- " or "1. "
}

// styleReader reads which styles are headings and lists. Their ids are in the
// language of the writer, their names are not.
type styleReader struct {
	styles map[string]wordStyle
	id     string
}

func (r *styleReader) start(e xml.StartElement) bool {
	switch e.Name.Local {
	case "style":
		r.id = attr(e, "styleId")
	case "name":
		name := strings.ToLower(attr(e, "val"))
		var style wordStyle
		switch {
		case name == "title":
			style.heading = 1
		case strings.HasPrefix(name, "heading "):
			style.heading, _ = strconv.Atoi(name[len("heading "):])
		case strings.HasPrefix(name, "list bullet"):
			style.list = "- "
		case strings.HasPrefix(name, "list number"):
			style.list = "1. "
		}
		if style != (wordStyle{}) && len(r.styles) < maxEntries {
			r.styles[r.id] = style
		}
	}
	return false
}

func (r *styleReader) end(string)  {}
func (r *styleReader) text([]byte) {}

// numberReader reads which lists are numbered.
type numberReader struct {
	ordered map[string]map[int]bool // by abstract list and level
	lists   map[string]string       // the abstract list of each list
	id      string
	level   int
}

func (r *numberReader) start(e xml.StartElement) bool {
	switch e.Name.Local {
	case "abstractNum":
		r.id = attr(e, "abstractNumId")
	case "num":
		r.id = attr(e, "numId")
	case "lvl":
		r.level, _ = strconv.Atoi(attr(e, "ilvl"))
	case "numFmt":
		if format := attr(e, "val"); format != "bullet" && format != "none" && len(r.ordered) < maxEntries {
			if r.ordered[r.id] == nil {
				r.ordered[r.id] = map[int]bool{}
			}
			if r.level >= 0 && r.level < 9 {
				r.ordered[r.id][r.level] = true
			}
		}
	case "abstractNumId":
		if len(r.lists) < maxEntries {
			r.lists[r.id] = attr(e, "val")
		}
	case "lvlOverride":
		return true
	}
	return false
}

func (r *numberReader) end(string)  {}
func (r *numberReader) text([]byte) {}

// wordReader makes Markdown of the text of a Word document.
type wordReader struct {
	out     *writer
	styles  map[string]wordStyle
	numbers *numberReader
	counts  map[string]*[9]int // of the items of numbered lists
	table   table

	depth   int // of paragraphs in each other, as text boxes make them
	para    block
	style   string
	list    string // id of the list, "" or "0" if it is part of none
	level   int
	inText  bool
	picture string // what is said of a picture that comes
	notes   string // what the marks of notes begin with
	note    string // mark of the note that begins
}

func (r *wordReader) start(e xml.StartElement) bool {
	switch name := e.Name.Local; name {
	case "Fallback", "del", "moveFrom", "pPrChange", "rPrChange", "tabs", "sectPr", "rt":
		return true // told twice, deleted, or no text
	case "p":
		if r.depth++; r.depth == 1 {
			r.para.Reset()
			r.style, r.list, r.level = "", "", 0
		}
	case "pStyle":
		r.style = attr(e, "val")
	case "ilvl":
		r.level, _ = strconv.Atoi(attr(e, "val"))
	case "numId":
		r.list = attr(e, "val")
	case "t":
		r.inText = true
	case "tab":
		r.para.add("\t")
	case "br", "cr":
		r.para.add("\n")
	case "noBreakHyphen":
		r.para.add("-")
	case "footnoteReference":
		r.para.add("[^" + attr(e, "id") + "]")
	case "endnoteReference":
		r.para.add("[^e" + attr(e, "id") + "]")
	case "footnote", "endnote":
		if kind := attr(e, "type"); kind != "" && kind != "normal" {
			return true // lines between text and notes
		}
		r.note = "[^" + r.notes + attr(e, "id") + "]: "
	case "docPr":
		r.picture = attr(e, "descr")
	case "blip", "imagedata":
		r.para.add(pictureNote(r.picture))
		r.picture = ""
	case "tbl":
		r.table.begin()
	case "tr":
		r.table.beginRow()
	}
	return false
}

// pictureNote stands where a picture is.
func pictureNote(description string) string {
	if description = oneLine(description); description != "" {
		return "[image: " + description + "]"
	}
	return "[image]"
}

func (r *wordReader) text(text []byte) {
	if r.inText {
		r.para.add(string(text))
	}
}

func (r *wordReader) end(name string) {
	switch name {
	case "t":
		r.inText = false
	case "p":
		if r.depth--; r.depth > 0 {
			r.para.add(" ")
		} else {
			r.paragraph(r.para.take())
		}
	case "tc":
		r.table.endCell()
	case "tr":
		r.table.endRow()
	case "tbl":
		r.table.end()
	}
}

// paragraph writes a paragraph.
func (r *wordReader) paragraph(text string) {
	if text == "" {
		return
	}
	if r.table.depth > 0 {
		r.table.cell.add(text + " ")
		return
	}
	style := r.styles[r.style]
	mark := r.mark(style.list)
	switch {
	case r.note != "":
		r.out.paragraph(r.note+oneLine(text), false)
		r.note = ""
	case style.heading > 0:
		r.out.paragraph(strings.Repeat("#", min(style.heading, 6))+" "+oneLine(text), false)
	case mark != "":
		r.out.paragraph(strings.Repeat("  ", min(max(r.level, 0), 8))+mark+text, true)
	default:
		r.out.paragraph(text, false)
	}
}

// mark is what an item of a list begins with, "" if the paragraph is none.
func (r *wordReader) mark(style string) string {
	if r.list == "0" || r.list == "" && style == "" {
		return ""
	}
	level := min(max(r.level, 0), 8)
	if r.list == "" && style == "- " || r.list != "" && !r.numbers.ordered[r.numbers.lists[r.list]][level] {
		return "- "
	}
	if r.counts == nil {
		r.counts = map[string]*[9]int{}
	}
	count := r.counts[r.list]
	if count == nil {
		if len(r.counts) == maxEntries {
			return "- "
		}
		count = new([9]int)
		r.counts[r.list] = count
	}
	count[level]++
	clear(count[level+1:])
	return fmt.Sprintf("%d. ", count[level])
}
