package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/office"
)

// What a read gives at most.
const (
	maxReadLines = 2000
	maxLineRunes = 2000
	maxReadBytes = 100_000
	// countBytes is how far a read looks on, only to say how many lines there are.
	countBytes = 64 << 20
)

// readFile is the tool that reads text files, takes the text out of documents and
// shows images.
type readFile struct {
	spec      llm.ToolSpec
	workspace *workspace
	documents documents
}

func newReadFile(opts Options, w *workspace) *readFile {
	return &readFile{mustSpec("read_file"), w, documents{opts.PDF, cmp.Or(opts.Office, office.New())}}
}

func (t *readFile) Spec() llm.ToolSpec { return t.spec }

func (t *readFile) Emoji() string { return "📖" }

func (t *readFile) Concurrent() bool { return true }

// readArguments are the arguments of read_file.
type readArguments struct {
	Path   string `json:"path"`
	Offset int    `json:"offset"`
	Limit  int    `json:"limit"`
}

func (t *readFile) Label(input json.RawMessage) string {
	arguments, err := decode[readArguments](input)
	switch {
	case err != nil:
		return ""
	case arguments.Offset > 1:
		return fmt.Sprintf("%s L%d-%d", arguments.Path, arguments.Offset, arguments.Offset+max(arguments.Limit, 1)-1)
	default:
		return arguments.Path
	}
}

func (t *readFile) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[readArguments](input)
	if err != nil {
		return Result{}, err
	}
	path, problem := t.workspace.rel(arguments.Path)
	if problem != "" {
		return Failure(problem), nil
	}
	if info, err := t.workspace.root.Stat(path); err == nil && info.IsDir() {
		return Failure(t.listing(path)), nil
	}
	file, info, problem := t.workspace.open(path)
	if problem != "" {
		return Failure(problem), nil
	}
	defer file.Close()
	shown, err := t.image(path, file, info.Size())
	if err != nil {
		return Failure(t.workspace.explain(path, err)), nil
	}
	if shown != nil {
		return *shown, nil
	}
	text, note, problem, err := t.text(ctx, path, file, info.Size())
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case err != nil:
		return Failure(t.workspace.explain(path, err)), nil
	case problem != "":
		return Failure(problem), nil
	}
	page := page{path: path, note: note, offset: max(arguments.Offset, 1), limit: min(max(arguments.Limit, 1), maxReadLines)}
	if err := page.read(ctx, text); err != nil {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		return Failure(t.workspace.explain(path, err)), nil
	}
	saw(ctx, path, info)
	return page.result(), nil
}

// text returns the text of a file, and what has to be known of it if it was taken
// out of a document.
func (t *readFile) text(ctx context.Context, path string, file *os.File, size int64) (text io.Reader, note, problem string, err error) {
	found, problem := t.documents.read(ctx, path, file, size)
	switch {
	case problem != "":
		return nil, "", problem, nil
	case found != nil:
		return strings.NewReader(found.text), found.note(path), "", nil
	}
	text, problem, err = decodeText(path, file, size)
	return text, "", problem, err
}

// listing tells a model that wanted to read a directory what is in it.
func (t *readFile) listing(path string) string {
	const shown = 50
	text := fmt.Sprintf("%s is a directory. search_files with target files and path %[1]s lists all files below it.", path)
	entries, err := t.workspace.list(path, maxEntries)
	if err != nil || len(entries) == 0 {
		return text
	}
	var names []string
	for _, entry := range entries[:min(len(entries), shown)] {
		name := entry.Name()
		if entry.IsDir() {
			name += string(filepath.Separator)
		}
		names = append(names, name)
	}
	if len(entries) > shown {
		names = append(names, "…")
	}
	return text + " It holds: " + strings.Join(names, ", ")
}

// page is the part of a file that was asked for.
type page struct {
	path          string
	offset, limit int
	note          string
	bare          bool // without the numbers of lines

	text  strings.Builder
	lines int  // of the file, as far as it was read
	shown int  // lines in text
	cut   bool // text was full before the limit was reached
	all   bool // the file was read to its end
}

// read reads the page, and a little further to count the lines.
func (p *page) read(ctx context.Context, text io.Reader) error {
	reader := newLineReader(text)
	for p.shown < p.limit && !p.cut {
		if p.lines%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		want := 0
		if p.lines+1 >= p.offset {
			want = maxLineRunes
		}
		line, err := reader.next(ctx, want)
		if errors.Is(err, io.EOF) {
			p.all = true
			return nil
		}
		if err != nil {
			return err
		}
		p.lines++
		if want > 0 {
			p.add(line)
		}
	}
	more, all, err := reader.count(ctx, countBytes)
	p.lines, p.all = p.lines+more, all
	return err
}

// add adds a line to the page, if there is room.
func (p *page) add(line line) {
	text := line.text
	if line.omitted > 0 {
		text += fmt.Sprintf(" [… %d more bytes]", line.omitted)
	}
	if p.shown > 0 && p.text.Len()+len(text) > maxReadBytes {
		p.cut = true
		return
	}
	if p.bare {
		p.text.WriteString(text + "\n")
	} else {
		fmt.Fprintf(&p.text, "%d|%s\n", p.lines, text)
	}
	p.shown++
}

// result is what the model gets.
func (p *page) result() Result {
	total := fmt.Sprint(p.lines)
	if !p.all {
		total = "more than " + total
	}
	switch {
	case p.all && p.lines == 0:
		return Result{Text: p.note + p.path + " is empty."}
	case p.shown == 0:
		return Failure(fmt.Sprintf("%s has %s lines; line %d is beyond its end.", p.path, total, p.offset))
	}
	last := p.offset + p.shown - 1
	if !p.all || last < p.lines {
		fmt.Fprintf(&p.text, "[lines %d to %d of %s; read on with offset %d]\n", p.offset, last, total, last+1)
	}
	return Result{Text: p.note + p.text.String()}
}
