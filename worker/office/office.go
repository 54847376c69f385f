// Package office reads the text of documents that people keep: Word, Excel and
// PowerPoint files of today, their OpenDocument relatives, and Jupyter notebooks.
//
// Office documents are ZIP archives of XML, written by strangers. Everything is
// bounded: entries, what they unpack to, the size of one token, the depth, the
// text that comes out, and the time. Nothing is unpacked onto the disk, so the
// names of entries lead nowhere, and XML entities are not expanded. The parser is
// the standard library's, token by token and without recursion, so this runs in the
// worker itself (PDF documents do not: see package pdf).
package office

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Why a document is not read. Each is the rest of a sentence that begins with
// its name.
var (
	ErrEncrypted = errors.New("is encrypted. Save a copy without a password")
	ErrDamaged   = errors.New("is damaged, or of a kind that is not known here")
	ErrCostly    = errors.New("takes too much time or memory to be read")
	// ErrOther says that it is no document at all.
	ErrOther = errors.New("is no document that text is read from")
)

const (
	// MaxSize is how large a document may be, with its pictures.
	MaxSize = 128 << 20
	timeout = 20 * time.Second
)

// Document is what was read.
type Document struct {
	// Kind says in words what it is: "a Word document".
	Kind string
	// Text is Markdown as far as the document allows; tables of spreadsheets have
	// tabs between their cells.
	Text string
	// Cut says that there is more of it.
	Cut bool
}

// The beginnings of what is read.
const (
	zipMagic = "PK\x03\x04"
	oleMagic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
)

// maxAtOnce is how many documents are read at the same time; others wait.
const maxAtOnce = 2

// Reader reads documents.
type Reader struct{ slots chan struct{} }

// New makes a Reader. One is enough for a worker, whose memory it spares.
func New() *Reader { return &Reader{slots: make(chan struct{}, maxAtOnce)} }

// Maybe reports whether a file of that name and beginning may be one that Read
// reads, or says something about that is better than that it is binary.
func Maybe(name string, head []byte) bool {
	return notebookName(name) || bytes.HasPrefix(head, []byte(zipMagic)) || bytes.HasPrefix(head, []byte(oleMagic))
}

// Read returns the text of a document, limit bytes of it at most. The error is or
// wraps one of those above, or it is the cause of ctx.
func (r *Reader) Read(ctx context.Context, name string, data io.ReaderAt, size int64, limit int) (Document, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return Document{}, context.Cause(ctx)
	}
	limited, cancel := context.WithTimeoutCause(ctx, timeout, ErrCostly)
	defer cancel()
	out := &writer{left: limit}
	kind, err := read(limited, name, data, size, out)
	switch {
	case ctx.Err() != nil:
		return Document{}, context.Cause(ctx)
	case limited.Err() != nil:
		return Document{}, ErrCostly
	case err != nil && !errors.Is(err, errFull):
		return Document{}, err
	}
	return Document{Kind: kind, Text: out.String(), Cut: out.full}, nil
}

// Text is Read of a document in memory, for those who want its text only: of that,
// limit bytes or a few less are the sign that there is more.
func (r *Reader) Text(ctx context.Context, name string, data []byte, limit int) (string, error) {
	document, err := r.Read(ctx, name, bytes.NewReader(data), int64(len(data)), limit)
	return document.Text, err
}

// read finds out what the document is, and reads it.
func read(ctx context.Context, name string, data io.ReaderAt, size int64, out *writer) (kind string, err error) {
	head := make([]byte, len(oleMagic))
	n, err := data.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	head = head[:n]
	switch {
	case size > MaxSize:
		return "", fmt.Errorf("%w: it has %d MiB, and %d are read", ErrCostly, size>>20, MaxSize>>20)
	case bytes.HasPrefix(head, []byte(oleMagic)):
		return "", old(data, size)
	case bytes.HasPrefix(head, []byte(zipMagic)):
		a, err := open(ctx, data, size, out)
		if err != nil {
			return "", err
		}
		return a.read()
	case notebookName(name):
		return "a Jupyter notebook", readNotebook(ctx, data, size, out)
	default:
		return "", ErrOther
	}
}

// old says what a file is that has the structure of the Office of before 2007.
// Encrypted documents of today have it too.
func old(data io.ReaderAt, size int64) error {
	const looked = 8 << 20 // the directory may be anywhere
	content, err := io.ReadAll(io.NewSectionReader(data, 0, min(size, looked)))
	if err != nil {
		return fmt.Errorf("cannot be read: %w", err)
	}
	holds := func(stream string) bool {
		return bytes.Contains(content, []byte(strings.Join(strings.Split(stream, ""), "\x00")+"\x00"))
	}
	for _, kind := range []struct{ stream, name, now string }{
		{"WordDocument", "a Word document", "DOCX"},
		{"PowerPoint Document", "a PowerPoint presentation", "PPTX"},
		{"Workbook", "an Excel workbook", "XLSX"},
	} {
		if holds(kind.stream) {
			return fmt.Errorf("%w: it is %s of the format before 2007. Save it as %s", ErrDamaged, kind.name, kind.now)
		}
	}
	if holds("EncryptedPackage") {
		return ErrEncrypted
	}
	return ErrOther
}
