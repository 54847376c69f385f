package office

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strings"
	"sync"
)

const (
	// maxNotebook is how large a notebook may be. Pictures in it are long.
	maxNotebook = 32 << 20
	// maxOutput is how much of one output is shown, in characters.
	maxOutput = 2_000
)

// escapes are what colors a text on a terminal.
var escapes = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")
})

// notebookName reports whether a file is a notebook by its name. Its content is
// JSON as any other.
func notebookName(name string) bool { return strings.EqualFold(path.Ext(name), ".ipynb") }

// IsNotebook reports whether a text can be the content of a notebook.
func IsNotebook(content []byte) bool {
	var n notebook
	return json.Unmarshal(content, &n) == nil && (n.Cells != nil || n.Worksheets != nil)
}

// notebook is a notebook as nbformat 4 and 3 have it:
// https://nbformat.readthedocs.io/en/latest/format_description.html.
type notebook struct {
	Cells      []cell `json:"cells"`
	Worksheets []struct {
		Cells []cell `json:"cells"`
	} `json:"worksheets"`
	Metadata struct {
		Language struct {
			Name string `json:"name"`
		} `json:"language_info"`
	} `json:"metadata"`
}

// cell is a cell of a notebook.
type cell struct {
	Kind    string   `json:"cell_type"`
	Source  lines    `json:"source"`
	Input   lines    `json:"input"` // of nbformat 3
	Count   *int     `json:"execution_count"`
	Outputs []output `json:"outputs"`
}

// output is what the running of a cell has left.
type output struct {
	Kind      string                     `json:"output_type"`
	Stream    string                     `json:"name"`
	Text      lines                      `json:"text"`
	Data      map[string]json.RawMessage `json:"data"`
	Name      string                     `json:"ename"`
	Value     string                     `json:"evalue"`
	Traceback []string                   `json:"traceback"`
	PNG       json.RawMessage            `json:"png"` // of nbformat 3
}

// lines is a text that may be a list of its lines.
type lines string

// UnmarshalJSON takes either.
func (l *lines) UnmarshalJSON(data []byte) error {
	var list []string
	if json.Unmarshal(data, &list) == nil {
		*l = lines(strings.Join(list, ""))
		return nil
	}
	var text string
	_ = json.Unmarshal(data, &text) // if it is not what the format says, the rest may be
	*l = lines(text)
	return nil
}

// readNotebook writes the cells of a notebook.
func readNotebook(ctx context.Context, data io.ReaderAt, size int64, out *writer) error {
	if size > maxNotebook {
		return fmt.Errorf("%w: it has %d MiB, and %d of a notebook are read", ErrCostly, size>>20, maxNotebook>>20)
	}
	content, err := io.ReadAll(io.NewSectionReader(data, 0, size))
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	var n notebook
	err = json.Unmarshal(content, &n)
	if _, odd := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !odd {
		return ErrOther // as text it can be mended
	}
	if n.Cells == nil && n.Worksheets == nil {
		return ErrOther
	}
	cells := n.Cells
	for _, sheet := range n.Worksheets {
		cells = append(cells, sheet.Cells...)
	}
	for i, cell := range cells {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if out.full {
			return errFull
		}
		cell.write(out, i+1, oneLine(n.Metadata.Language.Name))
	}
	return nil
}

// write writes a cell.
func (c cell) write(out *writer, number int, language string) {
	kind := oneLine(c.Kind)
	if c.Kind == "code" {
		kind = strings.TrimSpace("code " + language)
		if c.Count != nil {
			kind += fmt.Sprintf(", run [%d]", *c.Count)
		}
	}
	out.paragraph(fmt.Sprintf("[cell %d: %s]", number, kind), false)
	source := c.Source
	if source == "" {
		source = c.Input
	}
	if text := strings.TrimRight(string(source), "\n"); text != "" {
		out.line(text)
	}
	for _, o := range c.Outputs {
		o.write(out)
	}
}

// write writes an output: its best text, and of pictures that there is one.
func (o output) write(out *writer) {
	say := func(label, text string) {
		out.line("[" + label + "]")
		if text = clip(text); text != "" {
			out.line(text)
		}
	}
	switch {
	case o.Kind == "error" || o.Kind == "pyerr":
		trace := strings.Join(o.Traceback, "\n")
		say("error "+oneLine(o.Name)+": "+oneLine(o.Value), trace)
	case o.Text != "":
		label := "output"
		if o.Stream == "stderr" {
			label = "stderr"
		}
		say(label, string(o.Text))
	}
	var text lines
	pictures := len(o.PNG) > 0
	for media := range o.Data {
		pictures = pictures || strings.HasPrefix(media, "image/")
	}
	for _, media := range []string{"text/markdown", "text/plain", "text/latex", "application/json", "text/html"} {
		if raw, ok := o.Data[media]; ok && text == "" {
			if media == "application/json" {
				text = lines(raw)
			} else {
				_ = text.UnmarshalJSON(raw)
			}
		}
	}
	if text != "" {
		say("result", string(text))
	}
	if pictures {
		out.line("[an image]")
	}
}

// clip is a text as much of which is shown, its beginning and its end. Progress
// bars overwrite their line with returns.
func clip(text string) string {
	text = strings.TrimRight(escapes().ReplaceAllString(strings.ReplaceAll(text, "\r\n", "\n"), ""), "\n ")
	if strings.Contains(text, "\r") {
		all := strings.Split(text, "\n")
		for i, line := range all {
			all[i] = line[strings.LastIndexByte(line, '\r')+1:]
		}
		text = strings.Join(all, "\n")
	}
	runes := []rune(text)
	if len(runes) <= maxOutput {
		return text
	}
	return fmt.Sprintf("%s\n[… %d characters left out …]\n%s",
		string(runes[:maxOutput*2/3]), len(runes)-maxOutput, string(runes[len(runes)-maxOutput/3:]))
}
