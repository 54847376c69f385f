package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"hermes/supervisor"
)

// topRow is a worker in the picture.
type topRow struct {
	supervisor.ProfileStatus

	cpu float64 // share of a processor since the look before, in percent; below 0 if that is not known
}

// topView is what top shows, and how.
type topView struct {
	order    string
	colours  bool
	rows     []topRow
	gateways []running
	at       time.Time // of the last look
}

// topKey is a way to sort: its name, its key, and what comes first.
type topKey struct {
	name    string
	key     byte
	compare func(a, b topRow) int
}

func topKeys() []topKey {
	memory := func(r topRow) int64 {
		if r.Memory == nil {
			return 0
		}
		return r.Memory.PSS
	}
	// What has not been started is last.
	age := func(r topRow) int64 {
		if r.Started.IsZero() {
			return 1 << 62
		}
		return r.Started.UnixNano()
	}
	return []topKey{
		{"name", 'n', func(_, _ topRow) int { return 0 }},
		{"state", 's', func(a, b topRow) int { return cmp.Compare(a.State, b.State) }},
		{"cpu", 'c', func(a, b topRow) int { return cmp.Compare(b.cpu, a.cpu) }},
		{"memory", 'm', func(a, b topRow) int { return cmp.Compare(memory(b), memory(a)) }},
		{"turns", 't', func(a, b topRow) int { return cmp.Or(cmp.Compare(b.Busy, a.Busy), cmp.Compare(b.Jobs, a.Jobs)) }},
		{"restarts", 'r', func(a, b topRow) int { return cmp.Compare(b.Restarts, a.Restarts) }},
		{"uptime", 'u', func(a, b topRow) int { return cmp.Compare(age(a), age(b)) }},
	}
}

// topOrders are the names of the ways to sort.
func topOrders() []string {
	var names []string
	for _, k := range topKeys() {
		names = append(names, k.name)
	}
	return names
}

func topKeyOf(name string) (topKey, bool) {
	keys := topKeys()
	i := slices.IndexFunc(keys, func(k topKey) bool { return k.name == name })
	if i < 0 {
		return topKey{}, false
	}
	return keys[i], true
}

// press changes how rows are sorted.
func (v *topView) press(key byte) {
	for _, k := range topKeys() {
		if k.key == key {
			v.order = k.name
		}
	}
	v.arrange()
}

// take takes a look in.
func (v *topView) take(list []running, now time.Time) {
	before := map[int]float64{}
	for _, row := range v.rows {
		before[row.PID] = row.CPUSeconds
	}
	v.rows = v.rows[:0]
	for _, gateway := range list {
		for _, status := range gateway.Profiles {
			row := topRow{ProfileStatus: status, cpu: -1}
			if used, same := before[status.PID]; same && status.PID != 0 && now.After(v.at) {
				row.cpu = max(0, 100*(status.CPUSeconds-used)/now.Sub(v.at).Seconds())
			}
			v.rows = append(v.rows, row)
		}
	}
	v.gateways, v.at = list, now
	v.arrange()
}

func (v *topView) arrange() {
	key, _ := topKeyOf(v.order)
	slices.SortStableFunc(v.rows, func(a, b topRow) int {
		return cmp.Or(key.compare(a, b), cmp.Compare(a.Name, b.Name))
	})
}

// lines is the picture, in at most so many columns and rows; 0 is any number.
func (v *topView) lines(width, height int) []string {
	lines := []string{v.summary()}
	for _, gateway := range v.gateways {
		if gateway.hung != nil {
			lines = append(lines, red.paint(v.colours, cutTo(oneLine(gateway.hung), width)))
		}
	}
	lines[0] = cutTo(lines[0], width)
	table := v.table()
	if len(v.gateways) == 0 {
		table = [][]cell{{{text: "No gateway is running."}}}
	}
	if room := height - len(lines) - 1; height > 0 && len(table) > room {
		hidden := len(table) - max(1, room-1)
		table = append(table[:len(table)-hidden], []cell{{text: fmt.Sprintf("… and %d more", hidden), style: dim}})
	}
	return append(append(lines, ""), layOut(table, width, v.colours)...)
}

// summary is the first line: what all of them need together.
func (v *topView) summary() string {
	states := map[supervisor.State]int{}
	total, cpu, busy, jobs := int64(0), 0.0, 0, 0
	for _, row := range v.rows {
		states[row.State]++
		cpu += max(0, row.cpu)
		busy, jobs = busy+row.Busy, jobs+row.Jobs
		if row.Memory != nil {
			total += row.Memory.PSS
		}
	}
	var parts []string
	for _, state := range []supervisor.State{
		supervisor.StateReady, supervisor.StateSleeping, supervisor.StateStarting, supervisor.StateDraining,
		supervisor.StateBackoff, supervisor.StateBlocked, supervisor.StateBadConfig, supervisor.StateStopped, stateHung,
	} {
		if n := states[state]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, state))
		}
	}
	return fmt.Sprintf("%s  %d profiles: %s; %d turns, %d jobs; cpu %.1f %%, memory %s; sorted by %s",
		v.at.Local().Format(time.TimeOnly), len(v.rows), cmp.Or(strings.Join(parts, ", "), "none"), busy, jobs, cpu, byteSize(total), v.order)
}

func (v *topView) table() [][]cell {
	rows := [][]cell{cells("PROFILE", "STATE", "PID", "GEN", "TURNS", "JOBS", "CPU%", "MEMORY", "RESTARTS", "UPTIME", "REASON")}
	for i := range rows[0] {
		rows[0][i].style = bold
	}
	for _, row := range v.rows {
		cpu := ""
		if row.cpu >= 0 {
			cpu = strconv.FormatFloat(row.cpu, 'f', 1, 64)
		}
		line := cells(row.Name, string(row.State), number(row.PID), number(row.Generation), strconv.Itoa(row.Busy), strconv.Itoa(row.Jobs),
			cpu, memory(row.Memory), strconv.Itoa(row.Restarts), since(v.at, row.Started), because(row.ProfileStatus, v.at))
		line[1].style = stateStyle(row.State)
		rows = append(rows, line)
		for _, old := range row.Retiring {
			rows = append(rows, cells("  "+row.Name, stateRetiring, number(old.PID), number(old.Generation), strconv.Itoa(old.Busy), strconv.Itoa(old.Jobs),
				"", "", "", since(v.at, old.Since), finishing(old, v.at)))
		}
	}
	return rows
}

// layOut aligns rows and cuts each line to the width.
func layOut(rows [][]cell, width int, colours bool) []string {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if len(widths) <= i {
				widths = append(widths, 0)
			}
			if i < len(row)-1 { // nothing follows the last
				widths[i] = max(widths[i], text.StringWidthWithoutEscSequences(oneRow(c.text)), 1)
			}
		}
	}
	var lines []string
	for _, row := range rows {
		var b strings.Builder
		left := width
		for i, c := range row {
			word := cmp.Or(oneRow(c.text), "-")
			if i < len(row)-1 {
				word += strings.Repeat(" ", max(0, widths[i]-text.StringWidthWithoutEscSequences(word))) + "  "
			} else if c.text == "" {
				word = ""
			}
			if width > 0 {
				word = cutTo(word, left)
				left -= text.StringWidthWithoutEscSequences(word)
			}
			b.WriteString(c.style.paint(colours && word != "", word))
			if width > 0 && left <= 0 {
				break
			}
		}
		line := b.String()
		if !colours {
			line = strings.TrimRight(line, " ")
		}
		lines = append(lines, line)
	}
	return lines
}

// oneRow keeps a text in one row of a terminal.
func oneRow(s string) string { return strings.NewReplacer("\n", " ", "\t", " ").Replace(printable(s)) }

// cutTo makes a text fit into so many columns; 0 is any number.
func cutTo(s string, width int) string {
	s = oneRow(s)
	if width <= 0 || text.StringWidthWithoutEscSequences(s) <= width {
		return s
	}
	return text.Trim(s, max(0, width-1)) + "…"
}
