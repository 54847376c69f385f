package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Writer writes an archive. Entries are given in an order that is always the
// same for the same profile.
type Writer struct {
	gz   *gzip.Writer
	tar  *tar.Writer
	seen register
}

// RefusedError is why an entry cannot be in an archive. The archive is as it was
// before, and goes on without it.
type RefusedError struct {
	Path string
	Why  error
}

// Error names the entry and the reason.
func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %v", shown(e.Path), e.Why) }

// Unwrap is the reason.
func (e *RefusedError) Unwrap() error { return e.Why }

// NewWriter begins an archive with its manifest.
func NewWriter(to io.Writer, m Manifest) (*Writer, error) {
	m.Format = format
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	text = append(text, '\n')
	gz := gzip.NewWriter(to)
	w := &Writer{gz: gz, tar: tar.NewWriter(gz)}
	return w, w.write(&tar.Header{Typeflag: tar.TypeReg, Name: manifest, Size: int64(len(text)), Mode: 0o600}, bytes.NewReader(text))
}

// Dir adds a directory.
func (w *Writer) Dir(at string) error {
	if err := w.admit(at, true, 0); err != nil {
		return err
	}
	return w.write(&tar.Header{Typeflag: tar.TypeDir, Name: at + "/", Mode: 0o700}, nil)
}

// Link adds a symbolic link.
func (w *Writer) Link(at, target string) error {
	if err := linkFits(at, target); err != nil {
		return &RefusedError{at, err}
	}
	if err := w.admit(at, false, 0); err != nil {
		return err
	}
	return w.write(&tar.Header{Typeflag: tar.TypeSymlink, Name: at, Linkname: target, Mode: 0o777}, nil)
}

// File adds a file of the size that was seen before. What has grown meanwhile is
// cut off there; one that has shrunk ends the archive.
func (w *Writer) File(at string, size int64, executable bool, changed time.Time, from io.Reader) error {
	if err := w.admit(at, false, size); err != nil {
		return err
	}
	mode := int64(0o600)
	if executable {
		mode = 0o700
	}
	return w.write(&tar.Header{Typeflag: tar.TypeReg, Name: at, Size: size, Mode: mode, ModTime: changed.Truncate(time.Second)}, from)
}

// Close ends the archive.
func (w *Writer) Close() error { return errors.Join(w.tar.Close(), w.gz.Close()) }

// admit keeps out what a reader would refuse.
func (w *Writer) admit(at string, dir bool, size int64) error {
	err := Fit(at)
	if err == nil && !known(at, dir) {
		err = errors.New("it is no part of a profile")
	}
	if err == nil {
		err = w.seen.add(at, dir, size)
	}
	if err != nil {
		return &RefusedError{at, err}
	}
	return nil
}

func (w *Writer) write(header *tar.Header, from io.Reader) error {
	header.Name = prefix + header.Name
	header.Format = tar.FormatPAX
	if header.ModTime.IsZero() {
		header.ModTime = time.Unix(0, 0)
	}
	if err := w.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	if from == nil {
		return nil
	}
	n, err := io.CopyN(w.tar, from, header.Size)
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("write archive: %s shrank from %d to %d bytes while it was read; try again", header.Name, header.Size, n)
	}
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}
