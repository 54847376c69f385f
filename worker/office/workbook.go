package office

import (
	"encoding/xml"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// maxShared is how many bytes the texts that cells share may have together.
const maxShared = 32 << 20

// workbook reads the sheets of an Excel workbook.
func (a *archive) workbook(main string) error {
	relations := a.relations(main)
	book := &bookReader{}
	if err := a.walk(main, book); err != nil {
		return err
	}
	dir := path.Dir(main)
	byKind := func(kind, usual string) string {
		if part := related(relations, func(r relation) bool { return strings.HasSuffix(r.kind, kind) }); part != "" {
			return part
		}
		return path.Join(dir, usual)
	}
	shared := &sharedReader{}
	if err := a.aside(byKind("/sharedStrings", "sharedStrings.xml"), shared); err != nil {
		return err
	}
	if shared.size > maxShared {
		return ErrCostly
	}
	formats := &formatReader{custom: map[string]string{}}
	if err := a.aside(byKind("/styles", "styles.xml"), formats); err != nil {
		return err
	}
	for _, sheet := range book.sheets {
		part := related(relations, func(r relation) bool { return r.id == sheet.id })
		a.out.paragraph("## Sheet: "+oneLine(sheet.name)+sheet.state, false)
		if strings.Contains(part, "chartsheet") {
			a.out.line("(a chart)")
			continue
		}
		if err := a.walk(part, &sheetReader{rows: rows{out: a.out}, shared: shared.texts, formats: formats, from1904: book.from1904}); err != nil {
			return err
		}
	}
	return nil
}

// bookReader reads which sheets there are.
type bookReader struct {
	sheets   []sheet
	from1904 bool
}

type sheet struct{ name, id, state string }

func (r *bookReader) start(e xml.StartElement) bool {
	switch e.Name.Local {
	case "sheet":
		state := ""
		if s := attr(e, "state"); s != "" && s != "visible" {
			state = " (hidden)"
		}
		if len(r.sheets) < maxEntries {
			r.sheets = append(r.sheets, sheet{attr(e, "name"), attr(e, "id"), state})
		}
	case "workbookPr":
		on := attr(e, "date1904")
		r.from1904 = on == "1" || on == "true"
	}
	return false
}

func (r *bookReader) end(string)  {}
func (r *bookReader) text([]byte) {}

// sharedReader reads the texts that cells share.
type sharedReader struct {
	texts  []string
	size   int
	item   block
	inText bool
}

func (r *sharedReader) start(e xml.StartElement) bool {
	switch e.Name.Local {
	case "rPh": // how a word is spoken
		return true
	case "t":
		r.inText = true
	}
	return false
}

func (r *sharedReader) text(text []byte) {
	if r.inText {
		r.item.add(string(text))
	}
}

func (r *sharedReader) end(name string) {
	switch name {
	case "t":
		r.inText = false
	case "si":
		text := oneLine(r.item.take())
		if r.size += len(text) + 16; r.size <= maxShared {
			r.texts = append(r.texts, text)
		}
	}
}

// sheetReader writes the rows of a sheet.
type sheetReader struct {
	rows
	shared   []string
	formats  *formatReader
	from1904 bool

	row, column   int
	kind, style   string
	value         block
	formula       block
	inValue, inIs bool
	inFormula     bool
}

func (r *sheetReader) start(e xml.StartElement) bool {
	switch e.Name.Local {
	case "row":
		number, err := strconv.Atoi(attr(e, "r"))
		if err != nil || number <= r.row {
			number = r.row + 1
		}
		r.row, r.column = number, 0
	case "c":
		r.column++
		if column := columnOf(attr(e, "r")); column > 0 {
			r.column = column
		}
		r.kind, r.style = attr(e, "t"), attr(e, "s")
		r.value.Reset()
		r.formula.Reset()
	case "v":
		r.inValue = true
	case "t":
		r.inIs = true
	case "f":
		r.inFormula = true
	case "rPh", "extLst", "dataValidations", "conditionalFormatting", "headerFooter":
		return true
	}
	return false
}

func (r *sheetReader) text(text []byte) {
	switch {
	case r.inValue, r.inIs:
		r.value.add(string(text))
	case r.inFormula:
		r.formula.add(string(text))
	}
}

func (r *sheetReader) end(name string) {
	switch name {
	case "v":
		r.inValue = false
	case "t":
		r.inIs = false
	case "f":
		r.inFormula = false
	case "c":
		r.cell(r.column, r.shown())
	case "row":
		r.endRow(r.row, 1)
	}
}

// shown is the value of a cell as a person sees it, nearly.
func (r *sheetReader) shown() string {
	value := r.value.take()
	switch {
	case value == "":
		if formula := oneLine(r.formula.take()); formula != "" {
			return "=" + formula // nobody has worked it out yet
		}
		return ""
	case r.kind == "s":
		index, err := strconv.Atoi(value)
		if err != nil || index < 0 || index >= len(r.shared) {
			return "#REF!"
		}
		return r.shared[index]
	case r.kind == "b":
		if value == "0" {
			return "FALSE"
		}
		return "TRUE"
	case r.kind == "" || r.kind == "n":
		return r.formats.number(value, r.style, r.from1904)
	default: // str, inlineStr, e, d
		return oneLine(value)
	}
}

// columnOf is the number of the column in the name of a cell such as AB12, from 1.
func columnOf(cell string) int {
	column := 0
	for _, letter := range cell {
		if letter < 'A' || letter > 'Z' || column > 16_384 {
			break
		}
		column = column*26 + int(letter-'A') + 1
	}
	return min(column, 16_384)
}

// columnName is the name of a column.
func columnName(column int) string {
	name := ""
	for ; column > 0; column = (column - 1) / 26 {
		name = string(rune('A'+(column-1)%26)) + name
	}
	return name
}

// rows writes the rows of a sheet, with tabs between the cells.
type rows struct {
	out     *writer
	cells   strings.Builder
	at      int // column that cells ends with
	written int // the last row that was
}

// cell adds a cell. Empty ones are not written.
func (r *rows) cell(column int, text string) {
	const gap = 20 // columns beyond which the name of one is shorter than tabs
	if text = oneLine(text); text == "" || r.cells.Len()+len(text) > maxBlock {
		return
	}
	if missing := column - max(r.at, 1); missing > gap {
		fmt.Fprintf(&r.cells, "\t[column %s] ", columnName(column))
	} else if missing > 0 {
		r.cells.WriteString(strings.Repeat("\t", missing))
	}
	r.cells.WriteString(text)
	r.at = column
}

// endRow writes the row that the cells make, n times. Of empty rows it says how
// many there are.
func (r *rows) endRow(row, n int) {
	text := r.cells.String()
	r.cells.Reset()
	r.at = 0
	if text == "" {
		return
	}
	switch missing := row - r.written - 1; {
	case missing == 1:
		r.out.line("")
	case missing > 1:
		r.out.line(fmt.Sprintf("(rows %d to %d are empty)", r.written+1, row-1))
	}
	r.out.line(text)
	if n > 1 {
		r.out.line(fmt.Sprintf("(rows %d to %d are the same)", row+1, row+n-1))
	}
	r.written = row + n - 1
}
