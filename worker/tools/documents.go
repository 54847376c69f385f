package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"hermes/worker/office"
)

const (
	// maxDocumentText is how much text of a document can be paged through.
	maxDocumentText = 8 << 20
	// maxPDF is what the process that reads PDF documents takes.
	maxPDF = 64 << 20
	// headBytes is how much of a file tells what kind of document it is.
	headBytes = 1 << 10
)

// document is the text that a file holds in a form of its own.
type document struct {
	kind string // in words: "a PDF document"
	text string
	cut  bool // there is more
}

// documents reads what is no plain text.
type documents struct {
	pdf    func(ctx context.Context, data []byte, limit int) (string, error) // nil if nothing can
	office *office.Reader
}

// read returns the text of a document, nil if the file is none. The problem is a
// sentence for the model.
func (d documents) read(ctx context.Context, path string, file *os.File, size int64) (found *document, problem string) {
	head := headOf(file)
	switch {
	case isPDF(head):
		return d.readPDF(ctx, path, file, size)
	case !office.Maybe(path, head) || size == 0:
		return nil, ""
	}
	read, err := d.office.Read(ctx, path, file, size, maxDocumentText)
	switch {
	case errors.Is(err, office.ErrOther):
		return nil, ""
	case err != nil:
		return nil, path + " " + err.Error() + "."
	}
	return &document{read.Kind, read.Text, read.Cut}, ""
}

func (d documents) readPDF(ctx context.Context, path string, file *os.File, size int64) (found *document, problem string) {
	switch {
	case d.pdf == nil:
		return nil, path + " is a PDF document, which is not read here."
	case size > maxPDF:
		return nil, fmt.Sprintf("%s is a PDF document of %d MiB; %d are read.", path, size>>20, maxPDF>>20)
	}
	data, err := io.ReadAll(io.NewSectionReader(file, 0, size))
	if err != nil {
		return nil, path + ": " + err.Error() + "."
	}
	text, err := d.pdf(ctx, data, maxDocumentText)
	switch {
	case err != nil:
		return nil, fmt.Sprintf("%s is a PDF document that cannot be read: %s.", path, err)
	case strings.TrimSpace(text) == "":
		return nil, path + " is a PDF document without text, perhaps of scanned pages."
	}
	return &document{"a PDF document", valid([]byte(text)), len(text) == maxDocumentText}, ""
}

// note is what a model has to know that sees the text of a document.
func (d document) note(path string) string {
	more := ""
	if d.cut {
		more = fmt.Sprintf(" There is more of it than the %d MiB that are read.", maxDocumentText>>20)
	}
	return fmt.Sprintf("[%s is %s. This is text taken out of it, so write_file and patch cannot change it by these lines.%s]\n", path, d.kind, more)
}

// headOf is the beginning of a file.
func headOf(file io.ReaderAt) []byte {
	head := make([]byte, headBytes)
	n, _ := file.ReadAt(head, 0) // what cannot be read here is told when it is read
	return head[:n]
}

func isPDF(head []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(head, "\ufeff \t\r\n"), []byte("%PDF-"))
}

// spare says why a file must not get content that a model has written, or
// nothing. What read_file shows of a document looks as if it could be edited and
// written back, which would destroy the document.
func (w *workspace) spare(path string, content []byte) (problem string) {
	file, info, problem := w.open(path)
	if problem != "" {
		return "" // there is none, or the write says what is wrong
	}
	defer file.Close()
	head := headOf(file)
	kind := ""
	switch media := http.DetectContentType(head); {
	case isPDF(head):
		kind = "a PDF document"
	case strings.HasPrefix(media, "image/"):
		kind = "an image"
	case office.Maybe("", head):
		kind = "an Office document or an archive"
	case content != nil && office.Maybe(path, head) && info.Size() > 0 && !office.IsNotebook(content):
		return path + " is a notebook, and this would leave it without the JSON that a notebook is. read_file shows its cells only: write the whole JSON, or change it with a program in the terminal."
	}
	if kind == "" {
		return ""
	}
	return fmt.Sprintf("%s is %s, which plain text would destroy. Write to another name, or change it with a program in the terminal; if text is to take its place, delete it first.", path, kind)
}
