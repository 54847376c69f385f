package tools

import (
	"fmt"
	"strings"
)

// filePatch is what a patch says about one file.
type filePatch struct {
	action  action
	path    string
	moveTo  string  // update: the new name, or ""
	content string  // add: what is in the file
	chunks  []chunk // update
}

// action is what happens to a file.
type action string

const (
	addFile    action = "Add"
	updateFile action = "Update"
	deleteFile action = "Delete"
)

// chunk is one place of a file to change.
type chunk struct {
	headers []string // lines before the place, from @@
	lines   []chunkLine
	atEnd   bool // the place is the end of the file
}

// chunkLine is a line of a chunk: ' ' stays, '-' goes, '+' comes.
type chunkLine struct {
	kind byte
	text string
}

// parsePatch reads a patch in the V4A format. The problem is a sentence for the
// model.
func parsePatch(text string) (files []filePatch, problem string) {
	all := strings.Split(strings.ReplaceAll(unfence(text), "\r\n", "\n"), "\n")
	begin, end := -1, -1
	for i, line := range all {
		switch strings.TrimSpace(line) {
		case "*** Begin Patch":
			if begin < 0 {
				begin = i
			}
		case "*** End Patch":
			end = i
		}
	}
	switch {
	case begin < 0:
		return nil, "The patch does not begin with *** Begin Patch."
	case end < begin:
		return nil, "The patch does not end with *** End Patch; it may be cut off. Send all of it."
	}
	p := patchParser{lines: all[begin+1 : end], number: begin + 2}
	for p.problem == "" && len(p.lines) > 0 {
		p.file()
	}
	if p.problem == "" && len(p.files) == 0 {
		return nil, "The patch holds no *** Add File, *** Update File or *** Delete File."
	}
	return p.files, p.problem
}

// patchParser is a parse on its way.
type patchParser struct {
	lines   []string
	number  int // of lines[0] in the patch
	files   []filePatch
	problem string
}

// take takes the next line.
func (p *patchParser) take() string {
	line := p.lines[0]
	p.lines, p.number = p.lines[1:], p.number+1
	return line
}

func (p *patchParser) fail(format string, arguments ...any) {
	p.problem = fmt.Sprintf("Line %d of the patch: ", p.number) + fmt.Sprintf(format, arguments...)
}

// file reads the part of one file.
func (p *patchParser) file() {
	line := p.take()
	if strings.TrimSpace(line) == "" {
		return
	}
	f, ok := fileHeader(line)
	if !ok {
		p.number--
		p.fail("expected *** Add File, *** Update File or *** Delete File, got %q.", echo(line))
		return
	}
	if f.path == "" {
		p.number--
		p.fail("the name of the file is missing.")
		return
	}
	switch f.action {
	case addFile:
		p.added(&f)
	case updateFile:
		p.updated(&f)
	case deleteFile:
	}
	p.files = append(p.files, f)
}

// fileHeader reads a line such as *** Update File: a.go.
func fileHeader(line string) (f filePatch, ok bool) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "*** ")
	if !ok {
		return f, false
	}
	verb, path, ok := strings.Cut(rest, " File:")
	f = filePatch{action: action(verb), path: strings.TrimSpace(path)}
	return f, ok && (f.action == addFile || f.action == updateFile || f.action == deleteFile)
}

// done reports whether the part of this file has ended.
func (p *patchParser) done() bool {
	if len(p.lines) == 0 {
		return true
	}
	_, ok := fileHeader(p.lines[0])
	return ok
}

// added reads the content of a new file.
func (p *patchParser) added(f *filePatch) {
	var content strings.Builder
	for !p.done() && p.problem == "" {
		line := p.take()
		text, ok := strings.CutPrefix(line, "+")
		switch {
		case ok:
			content.WriteString(text + "\n")
		case strings.TrimSpace(line) == "" && p.onlyBlanks():
		default:
			p.number--
			p.fail("each line of a new file begins with +, got %q.", echo(line))
		}
	}
	f.content = content.String()
}

// onlyBlanks reports whether nothing but blank lines follows in this part.
func (p *patchParser) onlyBlanks() bool {
	for _, line := range p.lines {
		if _, ok := fileHeader(line); ok {
			break
		}
		if strings.TrimSpace(line) != "" {
			return false
		}
	}
	return true
}

// updated reads the chunks of a file.
func (p *patchParser) updated(f *filePatch) {
	var current chunk
	finish := func() {
		if len(current.lines) > 0 {
			f.chunks = append(f.chunks, current)
			current = chunk{}
		}
	}
	for !p.done() && p.problem == "" {
		line := p.take()
		switch {
		case strings.HasPrefix(line, "*** Move to:"):
			f.moveTo = strings.TrimSpace(strings.TrimPrefix(line, "*** Move to:"))
		case strings.TrimSpace(line) == "*** End of File":
			current.atEnd = true
			finish()
		case strings.HasPrefix(line, "@@"):
			finish()
			if header := chunkHeader(line); header != "" {
				current.headers = append(current.headers, header)
			}
		case line == "" && p.onlyBlanks(): // between two files
		case line == "": // an empty line that stays, without its space
			current.lines = append(current.lines, chunkLine{' ', ""})
		case strings.ContainsRune(" +-", rune(line[0])):
			current.lines = append(current.lines, chunkLine{line[0], line[1:]})
		default:
			p.number--
			p.fail("each line of a change begins with a space, + or -, got %q.", echo(line))
		}
	}
	finish()
	if p.problem == "" && len(f.chunks) == 0 && f.moveTo == "" {
		p.fail("there is no change for %s.", f.path)
	}
}

// chunkHeader returns the text of an @@ line. Line numbers, as a unified diff has
// them, say nothing here.
func chunkHeader(line string) string {
	text := strings.TrimSpace(strings.TrimPrefix(line, "@@"))
	if strings.HasPrefix(text, "-") {
		if _, after, ok := strings.Cut(text, "@@"); ok {
			return strings.TrimSpace(after)
		}
	}
	return strings.TrimSpace(strings.TrimSuffix(text, "@@"))
}
