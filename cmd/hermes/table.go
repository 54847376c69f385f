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
	if a.outTTY {
		a.printBoxed(t)
		return
	}
	widths := make([]int, len(t.header))
	lines := [][]string{t.header}
	for _, row := range t.rows {
		line := make([]string, len(row))
		for i, c := range row {
			line[i] = oneCell(c.text)
		}
		lines = append(lines, line)
	}
	for _, line := range lines {
		for i, word := range line {
			widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(word))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, word := range line {
			b.WriteString(word)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]+2-text.StringWidthWithoutEscSequences(word)))
			}
		}
		a.printf("%s\n", strings.TrimRight(b.String(), " "))
	}
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
		// The last column is the one with sentences in it.
		rest := a.width - 3*len(t.header) - 1
		for i := range len(t.header) - 1 {
			widest := text.StringWidthWithoutEscSequences(t.header[i])
			for _, row := range t.rows {
				widest = max(widest, text.LongestLineLen(row[i].text))
			}
			rest -= widest
		}
		w.SetColumnConfigs([]gopretty.ColumnConfig{{Number: len(t.header), WidthMax: max(rest, 20), WidthMaxEnforcer: text.WrapSoft}})
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
