package mcp

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// What of the words of a server is logged.
const (
	maxLine = 500 // bytes
	// linesAtOnce may come together, linesPerSecond in the long run.
	linesAtOnce    = 50
	linesPerSecond = 5
)

// words takes what a server writes beside its messages, and logs it line by line,
// as far as it is not too much.
type words struct {
	log    *slog.Logger
	redact func(string) string
	now    func() time.Time

	mu     sync.Mutex // guards what follows
	line   []byte     // that has not ended
	last   string     // line that says something
	room   float64    // lines that may be logged now
	filled time.Time
	left   int // lines that were not logged
}

func (s *server) newWords() *words {
	return &words{log: s.log, redact: s.owner.opts.Redact, now: s.owner.opts.Now}
}

// Write takes text. It never fails.
func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := p; len(rest) > 0; {
		text, after, ended := bytes.Cut(rest, []byte("\n"))
		w.line = append(w.line, text[:min(len(text), maxLine-len(w.line))]...)
		if ended {
			w.end()
		}
		rest = after
	}
	return len(p), nil
}

// end is the end of a line. The caller holds mu.
func (w *words) end() {
	line := w.redact(strings.TrimSpace(cleanText(string(w.line), maxLine)))
	w.line = w.line[:0]
	if line == "" {
		return
	}
	if !strings.HasPrefix(line, "at ") && !strings.HasPrefix(line, "Node.js v") { // the tail of a stack trace says least
		w.last = line
	}
	now := w.now()
	if w.filled.IsZero() {
		w.room = linesAtOnce
	} else {
		w.room = min(linesAtOnce, w.room+linesPerSecond*now.Sub(w.filled).Seconds())
	}
	w.filled = now
	if w.room < 1 {
		w.left++
		return
	}
	w.room--
	if w.left > 0 {
		line, w.left = fmt.Sprintf("[%d lines left out] %s", w.left, line), 0
	}
	w.log.Debug("MCP server says", "text", line)
}

// lastLine is the last line that said something, shortened.
func (w *words) lastLine() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.line) > 0 {
		w.end()
	}
	return w.last
}

// messages is the standard output of a server. Lines that cannot be messages, such
// as what a program prints when it starts, are passed over: each message is an
// object in one line.
type messages struct {
	to    io.Writer
	other io.Writer // takes the lines that are none

	inside  bool // a line
	message bool // the line is one
}

// Write takes output as it comes.
func (m *messages) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if !m.inside {
			if p = bytes.TrimLeft(p, " \t\r\n"); len(p) == 0 {
				break
			}
			m.message = p[0] == '{'
		}
		line, ended := p, false
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line, ended = p[:i+1], true
		}
		p = p[len(line):]
		m.inside = !ended
		to := m.other
		if m.message {
			to = m.to
		}
		if _, err := to.Write(line); err != nil {
			return 0, err
		}
	}
	return n, nil
}
