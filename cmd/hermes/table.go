package main

import (
	"strings"

	gopretty "github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// cell is a piece of text in a table.
type cell struct {
	text  string
	style style
}

// cells makes unadorned cells.
func cells(texts ...string) []cell {
	row := make([]cell, len(texts))
	for i, t := range texts {
		row[i] = cell{text: t}
	}
	return row
}

// table is rows for a person: boxed and coloured on a terminal, aligned by
// blanks in a pipe, where the last column is not padded.
type table struct {
	header []string
	rows   [][]cell
}

func (t *table) add(row ...cell) { t.rows = append(t.rows, row) }

// printTable writes t to stdout.
func (a *app) printTable(t *table) {
	if a.outTTY && a.restOf(t) >= min(fewestColumns, t.widest(len(t.header)-1)) {
		a.printBoxed(t)
		return
	}
	widths := make([]int, len(t.header))
	lines := [][]cell{cells(t.header...)}
	for _, row := range t.rows {
		line := make([]cell, len(row))
		for i, c := range row {
			line[i] = cell{oneCell(c.text), c.style}
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		for i, word := range line {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(word.text))
		}
	}
	colours := a.colours(a.outTTY)
	for _, line := range lines {
		var b strings.Builder
		for i, word := range line {
			b.WriteString(word.style.paint(colours, word.text))
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]+2-text.StringWidthWithoutEscSequences(word.text)))
			}
		}
		a.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
}

// widest is the width of a column.
func (t *table) widest(i int) int {
	widest := text.StringWidthWithoutEscSequences(t.header[i])
	for _, row := range t.rows {
		widest = max(widest, text.LongestLineLen(row[i].text))
	}
	return widest
}

// fewestColumns is how wide the last column of a box must be able to be: without
// a box the others are narrower, and it goes on in the next line.
const fewestColumns = 20

// restOf is how many columns the others of a box leave to the last one, which is
// the one with sentences in it.
func (a *app) restOf(t *table) int {
	if a.width == 0 {
		return fewestColumns
	}
	rest := a.width - 3*len(t.header) - 1
	for i := range len(t.header) - 1 {
		rest -= t.widest(i)
	}
	return rest
}

// oneCell keeps a cell on one line. An empty one becomes a dash, so that a
// script can count columns.
func oneCell(s string) string {
	s = strings.Join(strings.Fields(printable(s)), " ")
	if s == "" {
		return "-"
	}
	return s
}

func (a *app) printBoxed(t *table) {
	w := gopretty.NewWriter()
	w.SetOutputMirror(a.out)
	w.SetStyle(gopretty.StyleLight)
	w.Style().Format.Header = text.FormatDefault
	header := make(gopretty.Row, len(t.header))
	for i, word := range t.header {
		header[i] = strings.ToLower(word)
	}
	w.AppendHeader(header)
	for _, row := range t.rows {
		line := make(gopretty.Row, len(row))
		for i, c := range row {
			line[i] = c.style.paint(a.colours(true), strings.TrimSpace(printable(c.text)))
		}
		w.AppendRow(line)
	}
	if a.width > 0 {
		w.Style().Size.WidthMax = a.width
		w.SetColumnConfigs([]gopretty.ColumnConfig{{Number: len(t.header), WidthMax: max(a.restOf(t), 1), WidthMaxEnforcer: text.WrapSoft}})
	}
	w.Render()
}

// field is one line of a description: a name and a value.
type field struct {
	name  string
	value cell
}

// printFields writes names and values to stdout, a line each.
func (a *app) printFields(fields []field) {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.name))
	}
	for _, f := range fields {
		value := f.value.style.paint(a.colours(a.outTTY), oneCell(f.value.text))
		a.printf("%-*s  %s\n", width, f.name, value)
	}
}
