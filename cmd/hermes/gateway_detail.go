package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hermes/supervisor"
	"hermes/supervisor/handoff"
)

// stateRetiring is said of a worker whose place another one has taken.
const stateRetiring = "retiring"

// because says in a sentence why a profile is in its state: its reason, what
// brings it out of the state, else how its last worker died.
func because(status supervisor.ProfileStatus, now time.Time) string {
	switch {
	case status.State == supervisor.StateSleeping:
		return "its first connection starts a worker"
	case !status.Retry.IsZero():
		return fmt.Sprintf("%s; next try in %s", status.Reason, until(now, status.Retry))
	case status.Reason == "" && status.State == supervisor.StateReady && status.Restarts > 0 && status.LastExit != nil:
		return fmt.Sprintf("the last one %s, %s ago", status.LastExit.Reason, since(now, status.LastExit.At))
	default:
		return status.Reason
	}
}

// finishing says what a worker that was replaced still does.
func finishing(old supervisor.Retiring, now time.Time) string {
	if old.Until.IsZero() {
		return "is being ended"
	}
	return fmt.Sprintf("finishes what it has begun, within %s", until(now, old.Until))
}

// until is how long it is to a moment, in one or two units.
func until(now, then time.Time) string { return since(then, now) }

// memory is what a worker occupies of its own, as a word.
func memory(m *supervisor.Memory) string {
	if m == nil {
		return ""
	}
	return strings.ReplaceAll(byteSize(m.PSS), " ", "")
}

// turns is the number of turns that run, with that of background jobs if there
// are any.
func turns(busy, jobs int) string {
	if jobs == 0 {
		return strconv.Itoa(busy)
	}
	return fmt.Sprintf("%d+%d", busy, jobs)
}

// level is the level of the walls around a profile's commands, as its worker has
// found it, and of those around the worker where that is another.
func level(status supervisor.ProfileStatus) string {
	switch walls, room := status.Walls, status.Room; {
	case walls == nil && room == nil:
		return ""
	case walls == nil:
		return "worker " + room.Level
	case room == nil || room.Level == walls.Level:
		return walls.Level
	default:
		return walls.Level + ", worker " + room.Level
	}
}

// walls says one of them with what is missing. Before there is a worker it is what the
// machine has.
func walls(machine handoff.Walls, own *handoff.Walls) string {
	found := machine
	if own != nil {
		found = *own
	}
	if found.Why != "" {
		return fmt.Sprintf("%s, because %s", found.Level, found.Why)
	}
	return found.Level
}

// printDetails prints all that is known of each profile, one field a line.
func (opts *gatewayStatusOptions) printDetails(list []running) {
	first := true
	for _, gateway := range list {
		for _, status := range gateway.Profiles {
			if !first {
				opts.printf("\n")
			}
			first = false
			opts.printFields(details(gateway.Status, status, opts.now()))
			if exit := status.LastExit; exit != nil && len(exit.Lines) > 0 {
				opts.printf("\nIts last lines:\n")
				for _, line := range exit.Lines {
					opts.printf("  %s\n", printable(line))
				}
			}
		}
	}
}

// details leaves out what does not apply.
func details(gateway supervisor.Status, status supervisor.ProfileStatus, now time.Time) []field {
	fields := []field{
		{"profile", cell{text: status.Name}},
		{"state", cell{text: string(status.State), style: stateStyle(status.State)}},
	}
	add := func(name, text string) {
		if text != "" {
			fields = append(fields, field{name, cell{text: text}})
		}
	}
	ago := func(then time.Time) string {
		if then.IsZero() {
			return ""
		}
		return fmt.Sprintf("%s ago, %s", since(now, then), then.Local().Format(time.DateTime))
	}
	add("since", ago(status.Since))
	add("reason", because(status, now))
	add("started by", map[string]string{
		"always": "the gateway", "on-demand": "its first connection", "never": "a command only",
	}[status.Start])
	add("gateway", fmt.Sprintf("pid %s, %s, since %s", cmp.Or(number(gateway.PID), "unknown"), cmp.Or(gateway.Version, "unknown version"), cmp.Or(since(now, gateway.Since), "unknown")))
	add("walls of commands", walls(gateway.Isolation.Walls, status.Walls))
	add("walls of worker", walls(gateway.Isolation.Rooms, status.Room))
	add("limits by", gateway.Isolation.Words)
	add("url", status.URL)
	add("port", number(status.Port))
	if status.Keyless {
		add("key", "none: any program on this machine may use it")
	}
	add("pid", number(status.PID))
	add("generation", number(status.Generation))
	add("started", ago(status.Started))
	if status.StartSeconds > 0 {
		add("start took", fmt.Sprintf("%.0f ms", 1000*status.StartSeconds))
	}
	add("last sign of life", ago(status.Beat))
	if m := status.Memory; m != nil {
		add("memory", fmt.Sprintf("%s of its own, %s with what it shares", byteSize(m.PSS), byteSize(m.RSS)))
	}
	if status.PID != 0 && status.CPUSeconds > 0 {
		add("processor time", fmt.Sprintf("%.2f s", status.CPUSeconds))
	}
	add("turns", strconv.Itoa(status.Busy))
	add("background jobs", number(status.Jobs))
	for _, old := range status.Retiring {
		add(stateRetiring, fmt.Sprintf("pid %d, generation %d, %s turns, since %s: %s",
			old.PID, old.Generation, turns(old.Busy, old.Jobs), since(now, old.Since), finishing(old, now)))
	}
	deaths := ""
	if len(status.Deaths) > 0 {
		deaths = " (" + strings.Join(counted(status.Deaths), ", ") + ")"
	}
	add("restarts", strconv.Itoa(status.Restarts)+deaths)
	add("killed", strings.Join(counted(status.Killed), ", "))
	add("dropped log lines", number(status.DroppedLines))
	if exit := status.LastExit; exit != nil {
		add("last exit", fmt.Sprintf("pid %d %s, %s", exit.PID, exit.Reason, ago(exit.At)))
	}
	return fields
}

// counted lists what was counted, by name.
func counted(counts map[string]int) []string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		texts = append(texts, fmt.Sprintf("%d %s", counts[name], name))
	}
	return texts
}
