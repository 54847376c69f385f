package tools

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// maxPatchBytes is how large a file may be that is patched.
const maxPatchBytes = 8 << 20

// textFile is a text file with its habits, which a change keeps.
type textFile struct {
	path string
	info fs.FileInfo
	raw  []byte
	text string // without a byte order mark; with LF if all lines end with CRLF
	bom  bool
	crlf bool
}

// load reads a text file to change it. The problem is a sentence for the model.
func (w *workspace) load(ctx context.Context, path string) (f textFile, problem string) {
	info, problem := w.writable(path)
	switch {
	case problem != "":
		return f, problem
	case info == nil:
		return f, w.missing(path)
	case info.Size() > maxPatchBytes:
		return f, fmt.Sprintf("%s is too large to be patched (%d bytes). Use the terminal, for instance sed.", path, info.Size())
	}
	file, info, problem := w.open(path)
	if problem != "" {
		return f, problem
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxPatchBytes))
	if err != nil {
		return f, w.explain(path, err)
	}
	if problem := w.spare(path, nil); problem != "" {
		return f, problem
	}
	if problem := notText(path, raw, int64(len(raw))); problem != "" {
		return f, problem
	}
	if ctx.Err() != nil {
		return f, "The call was cancelled."
	}
	f = textFile{path: path, info: info, raw: raw, text: string(raw)}
	f.text, f.bom = strings.CutPrefix(f.text, "\ufeff")
	if ends := strings.Count(f.text, "\r\n"); ends > 0 && ends == strings.Count(f.text, "\n") {
		f.crlf = true
		f.text = strings.ReplaceAll(f.text, "\r\n", "\n")
	}
	return f, ""
}

// adapt gives text from the model the line ends that f.text has.
func (f textFile) adapt(text string) string {
	if f.crlf || !strings.Contains(f.text, "\r\n") {
		return strings.ReplaceAll(text, "\r\n", "\n")
	}
	return text // a mixture
}

// bytes returns what the file is to hold when text is its new text.
func (f textFile) bytes(text string) []byte {
	if f.crlf {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if f.bom {
		text = "\ufeff" + text
	}
	return []byte(text)
}

// change is the change of the file to a new text.
func (f textFile) change(text string) change {
	return change{path: f.path, content: f.bytes(text), before: f.info, like: f.info, old: bytes.Clone(f.raw)}
}
