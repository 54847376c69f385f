package office

import (
	"errors"
	"strings"
)

// errFull ends the reading of a document of which no more is wanted.
var errFull = errors.New("enough text")

const (
	// maxBlock is how long a paragraph, or a row of a table, may be.
	maxBlock = 1 << 20
	// maxColumns is how many cells of a row are shown.
	maxColumns = 2_000
)

// writer collects the text of a document.
type writer struct {
	strings.Builder
	left int
	full bool
	list bool // the last paragraph was part of a list
}

// add writes text, as much of it as there is room for.
func (w *writer) add(text string) {
	if len(text) > w.left {
		text = strings.ToValidUTF8(text[:w.left], "")
		w.full, w.left = true, len(text)
	}
	w.left -= len(text)
	w.WriteString(text)
}

// line writes a line.
func (w *writer) line(text string) { w.add(text + "\n") }

// paragraph writes a paragraph with a blank line before it, unless it goes on with
// a list.
func (w *writer) paragraph(text string, list bool) {
	if w.Len() > 0 && (!list || !w.list) {
		w.add("\n")
	}
	w.list = list
	w.line(text)
}

// block is a text on its way to the writer: a paragraph, or a cell.
type block struct{ strings.Builder }

// add adds text, unless there is too much of it.
func (b *block) add(text string) {
	if b.Len()+len(text) <= maxBlock {
		b.WriteString(text)
	}
}

// take returns the text without white space around it, and begins anew.
func (b *block) take() string {
	text := strings.TrimSpace(b.String())
	b.Reset()
	return text
}

// table is a table of a text document on its way to the writer, as Markdown. One
// that lies in a cell of another is part of its text.
type table struct {
	out   *writer
	depth int // of tables in each other
	rows  int
	cells []string
	size  int // bytes in cells
	cell  block
}

func (t *table) begin() {
	if t.depth++; t.depth == 1 {
		t.rows = 0
	}
}

func (t *table) beginRow() {
	if t.depth == 1 {
		t.cells, t.size = nil, 0
	}
}

func (t *table) endCell() {
	if t.depth != 1 {
		t.cell.add(" ; ")
		return
	}
	text := oneLine(t.cell.take())
	if len(t.cells) < maxColumns && t.size+len(text) <= maxBlock {
		t.cells, t.size = append(t.cells, strings.ReplaceAll(text, "|", `\|`)), t.size+len(text)
	}
}

func (t *table) endRow() {
	if t.depth != 1 || len(t.cells) == 0 {
		return
	}
	if t.rows++; t.rows == 1 {
		t.out.paragraph("| "+strings.Join(t.cells, " | ")+" |", false)
		t.out.line("|" + strings.Repeat(" --- |", len(t.cells)))
	} else {
		t.out.line("| " + strings.Join(t.cells, " | ") + " |")
	}
	t.cells, t.size = nil, 0
}

func (t *table) end() { t.depth-- }

// oneLine is a text without line breaks and tabs.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
