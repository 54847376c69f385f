package main

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"hermes/worker/openai"
)

const (
	// usualLine is how long a line about a tool may be where no terminal tells.
	usualLine = 80
	// shownTasks is how many tasks of a list are shown.
	shownTasks = 12
)

// task matches a line of what the tool todo answers.
var task = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[^:]+: \[(pending|in_progress|completed|cancelled)\] (.*)$`)
})

// screen shows a turn: the answer on stdout, the tools at work in between on
// stderr. On a terminal the line of a tool at work tells how long it runs, and so
// does a line when nothing is heard for a second.
type screen struct {
	*conversation

	live    bool           // lines on stderr can be written again
	render  *renderer      // nil: the text is shown as it is
	written bool           // some of the answer is there
	midLine bool           // what was written last has no line break
	acted   bool           // a tool was at work since then
	running []*runningTool // those at work
	open    *runningTool   // whose line the cursor is in

	startHint func(message func() string) (end func())
	endHint   func() // nil: no hint is shown, nor will it be
}

// runningTool is a tool at work.
type runningTool struct {
	id, label string
	began     time.Time
}

func newScreen(ctx context.Context, c *conversation) *screen {
	s := &screen{conversation: c, startHint: func(message func() string) func() { return c.progress(ctx, message) }}
	s.live = c.errTTY && c.getenv("TERM") != "dumb"
	if c.colours(c.outTTY) {
		s.render = &renderer{}
	}
	s.think()
	return s
}

// hint says in a line of its own what is waited for, from the moment that takes
// long.
func (s *screen) hint(message func() string) {
	s.unhint()
	if s.live && !s.quiet {
		s.endHint = s.startHint(message)
	}
}

func (s *screen) unhint() {
	if s.endHint != nil {
		s.endHint()
		s.endHint = nil
	}
}

// think is the hint that the model is at work.
func (s *screen) think() {
	began := time.Now()
	s.hint(func() string { return fmt.Sprintf("thinking, %s", since(time.Now(), began)) })
}

// write shows a piece of the answer.
func (s *screen) write(text string) {
	if s.acted {
		// What the model says after it used a tool begins a new paragraph.
		text = strings.TrimLeft(text, "\n")
		if text == "" {
			return
		}
		s.closeLine()
		if s.written {
			s.print("\n")
		}
		s.acted = false
	}
	if text == "" {
		return
	}
	s.unhint()
	s.written = true
	s.print(text)
	if !s.midLine {
		s.think()
	}
}

// print writes text of the answer.
func (s *screen) print(text string) {
	s.midLine = !strings.HasSuffix(text, "\n")
	switch {
	case s.render != nil:
		text = s.render.write(text)
	case s.outTTY:
		text = printable(text)
	}
	s.printf("%s", text)
}

// endText ends the line that the answer is in.
func (s *screen) endText() {
	if s.render != nil {
		s.printf("%s", s.render.flush())
	}
	if s.midLine {
		s.printf("\n")
		s.midLine = false
	}
}

// call shows that a tool begins or ends.
func (s *screen) call(item toolItem, description string) {
	s.endText()
	s.acted = true
	if s.quiet {
		return
	}
	i := slices.IndexFunc(s.running, func(t *runningTool) bool { return t.id == item.ID })
	switch {
	case item.Status == openai.StatusInProgress && i < 0:
		s.begin(&runningTool{id: item.ID, label: oneCell(cmp.Or(description, item.Name)), began: time.Now()})
	case item.Status != openai.StatusInProgress && i >= 0:
		ended := s.running[i]
		s.running = slices.Delete(s.running, i, i+1)
		s.finish(ended, item.Status != openai.StatusCompleted)
		if item.Name == "todo" {
			s.tasks(item.Output)
		}
		if len(s.running) == 0 {
			s.think()
		}
	}
}

// begin shows a tool that begins. On a terminal its line stays open.
func (s *screen) begin(tool *runningTool) {
	s.closeLine()
	s.running = append(s.running, tool)
	if !s.live {
		s.eprintf("%s\n", printable(tool.label))
		return
	}
	s.open = tool
	s.eprintf("%s", s.line(tool, ""))
	s.hint(func() string { return s.cut(tool.label) + "  " + since(time.Now(), tool.began) })
}

// finish shows how a tool ended, in its line if that is still open.
func (s *screen) finish(tool *runningTool, failed bool) {
	took := "  " + duration(time.Since(tool.began))
	if failed {
		took = "  ✗" + took[1:]
	}
	switch {
	case !s.live && failed:
		s.eprintf("%s%s\n", printable(tool.label), took)
	case !s.live:
	case s.open == tool:
		s.unhint()
		s.eprintf("\r\x1b[K%s\n", s.line(tool, took))
		s.open = nil
	default:
		s.closeLine()
		s.eprintf("%s\n", s.line(tool, took))
	}
}

// closeLine ends the line of a tool that is open.
func (s *screen) closeLine() {
	s.unhint()
	if s.open != nil {
		s.eprintf("\r\x1b[K%s\n", s.line(s.open, ""))
		s.open = nil
	}
}

func (s *screen) line(tool *runningTool, after string) string {
	return dim.paint(s.colours(true), printable(s.cut(tool.label)+after))
}

// cut makes a label fit into a line, with what follows it: one that is broken
// cannot be written again.
func (s *screen) cut(label string) string {
	width := cmp.Or(s.width, usualLine) - 16
	if runes := []rune(label); width > 0 && len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return label
}

// tasks shows a list of tasks.
func (s *screen) tasks(output string) {
	marks := map[string]string{"pending": "☐", "in_progress": "▶", "completed": "☑", "cancelled": "☒"}
	var lines []string
	for line := range strings.SplitSeq(output, "\n") {
		if match := task().FindStringSubmatch(line); match != nil {
			lines = append(lines, marks[match[1]]+" "+match[2])
		}
	}
	more := len(lines) - shownTasks
	if more > 0 {
		lines = append(lines[:shownTasks], fmt.Sprintf("… and %d more", more))
	}
	for _, line := range lines {
		s.eprintf("  %s\n", dim.paint(s.colours(s.errTTY), s.cut(oneCell(line))))
	}
}

// end leaves the cursor at the beginning of a line. It may be called again.
func (s *screen) end() {
	s.closeLine()
	s.endText()
}

// duration is how long something took, for people.
func duration(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return since(time.Unix(0, 0).Add(d), time.Unix(0, 0))
}
