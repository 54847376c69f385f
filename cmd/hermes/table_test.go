package main

import (
	"strings"
	"testing"
)

// A table on a narrow terminal loses its box, not its columns.
func TestTablesKeepTheirColumns(t *testing.T) {
	t.Parallel()
	for width, boxed := range map[int]bool{40: false, 60: false, 80: true, 0: true} {
		a, out, _ := newTestApp(t)
		a.outTTY, a.width = true, width
		tab := &table{header: []string{"PROFILE", "STATE", "SOMETHING", "MORE", "REASON"}}
		row := cells("alice", "ready", strings.Repeat("x", 15), "", "the settings are not what they should be, says the last word")
		row[1].style = green
		tab.add(row...)
		a.printTable(tab)
		got := out.String()
		if strings.Contains(got, "│") != boxed || strings.Contains(got, "≈") || !strings.Contains(got, "word") || !strings.Contains(got, "\x1b[32mready\x1b[0m") {
			t.Errorf("%d columns:\n%s", width, got)
		}
	}
}
