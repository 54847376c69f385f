package tools

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// sampleBytes is how much of a file tells whether it is text.
const sampleBytes = 8 << 10

// decodeText returns the text of a file as UTF-8, without a byte order mark. The
// problem says why it is no text.
func decodeText(path string, file io.Reader, size int64) (text io.Reader, problem string, err error) {
	reader := bufio.NewReaderSize(file, sampleBytes)
	sample, err := reader.Peek(sampleBytes)
	if err != nil && err != io.EOF {
		return nil, "", err
	}
	switch {
	case bytes.HasPrefix(sample, []byte{0xff, 0xfe}), bytes.HasPrefix(sample, []byte{0xfe, 0xff}):
		return &utf16Reader{in: reader, big: sample[0] == 0xfe}, "", nil
	case bytes.HasPrefix(sample, []byte("\ufeff")):
		_, _ = reader.Discard(len("\ufeff"))
	}
	return reader, notText(path, sample, size), nil
}

// notText says why the beginning of a file is not that of a text, or nothing.
func notText(path string, sample []byte, size int64) string {
	kind, _, _ := strings.Cut(http.DetectContentType(sample), ";")
	switch {
	case bytes.IndexByte(sample, 0) >= 0:
		return fmt.Sprintf("%s is a binary file (%s, %d bytes).", path, kind, size)
	case !validPrefix(sample, size):
		if strings.HasPrefix(kind, "text/") {
			return fmt.Sprintf("%s is not UTF-8 text (%d bytes). If it is text in another encoding, convert it first, for instance with iconv -f latin1 -t utf-8.", path, size)
		}
		return fmt.Sprintf("%s is a binary file (%s, %d bytes).", path, kind, size)
	default:
		return ""
	}
}

// validPrefix reports whether sample is the beginning of a UTF-8 text of size
// bytes: a rune at its end may be cut.
func validPrefix(sample []byte, size int64) bool {
	if int64(len(sample)) < size {
		for i := 1; i < utf8.UTFMax && i < len(sample); i++ {
			if last := sample[len(sample)-i:]; utf8.RuneStart(last[0]) {
				if !utf8.FullRune(last) {
					sample = sample[:len(sample)-i]
				}
				break
			}
		}
	}
	return utf8.Valid(sample)
}

// utf16Reader turns UTF-16 into UTF-8.
type utf16Reader struct {
	in      *bufio.Reader
	big     bool
	started bool   // the byte order mark is behind us
	out     []byte // not handed out yet
}

func (r *utf16Reader) Read(p []byte) (int, error) {
	for len(r.out) < 4096 {
		unit, err := r.unit()
		if err != nil {
			if len(r.out) == 0 {
				return 0, err
			}
			break
		}
		if !r.started {
			r.started = true
			continue
		}
		decoded := rune(unit)
		if utf16.IsSurrogate(decoded) {
			low, err := r.unit()
			if err != nil {
				low = 0
			}
			decoded = utf16.DecodeRune(decoded, rune(low))
		}
		r.out = utf8.AppendRune(r.out, decoded)
	}
	n := copy(p, r.out)
	r.out = r.out[:copy(r.out, r.out[n:])]
	return n, nil
}

// unit reads 16 bits.
func (r *utf16Reader) unit() (uint16, error) {
	first, err := r.in.ReadByte()
	if err != nil {
		return 0, err
	}
	second, err := r.in.ReadByte()
	if err != nil {
		return 0, err
	}
	if r.big {
		return uint16(first)<<8 | uint16(second), nil
	}
	return uint16(second)<<8 | uint16(first), nil
}

// line is one line of a file.
type line struct {
	text    string // valid UTF-8, without the line end
	omitted int    // bytes that text lacks
}

// lineReader reads lines of any length in bounded memory.
type lineReader struct {
	in   *bufio.Reader
	kept []byte
}

func newLineReader(in io.Reader) *lineReader {
	return &lineReader{in: bufio.NewReaderSize(in, 64<<10)}
}

// raw reads a line and keeps its first bytes, limit of them at most, without the
// line end. They are valid until the next call. Lost counts the others. At the
// end of the file raw returns io.EOF.
func (r *lineReader) raw(ctx context.Context, limit int) (kept []byte, lost int, err error) {
	r.kept = r.kept[:0]
	size := 0 // of the line, with its end
	for {
		piece, err := r.in.ReadSlice('\n')
		size += len(piece)
		if limit > 0 {
			r.kept = append(r.kept, piece[:min(len(piece), max(0, limit+2-len(r.kept)))]...)
		}
		switch {
		case err == bufio.ErrBufferFull: //nolint:errorlint // bufio returns it as it is
			if ctx.Err() != nil {
				return nil, 0, ctx.Err()
			}
			continue
		case err != nil && (err != io.EOF || size == 0):
			return nil, 0, err
		}
		if len(r.kept) == size { // all of it, so the line end too
			kept = bytes.TrimSuffix(bytes.TrimSuffix(r.kept, []byte("\n")), []byte("\r"))
			return kept, 0, nil
		}
		kept = r.kept[:min(len(r.kept), limit)]
		return kept, size - len(kept), nil
	}
}

// next reads a line and keeps its first runes, want of them. At the end of the
// file it returns io.EOF.
func (r *lineReader) next(ctx context.Context, want int) (line, error) {
	kept, lost, err := r.raw(ctx, utf8.UTFMax*want)
	if err != nil || want == 0 {
		return line{}, err
	}
	text := valid(kept)
	short := firstOf(text, want)
	return line{text: short, omitted: len(text) - len(short) + lost}, nil
}

// count counts the lines in what follows, limit bytes of it at most. All says that
// the file ended within them.
func (r *lineReader) count(ctx context.Context, limit int) (lines int, all bool, err error) {
	open := false // the last line has no end
	for seen := 0; seen < limit; {
		if ctx.Err() != nil {
			return lines, false, ctx.Err()
		}
		piece, err := r.in.Peek(max(r.in.Buffered(), 1))
		if errors.Is(err, io.EOF) {
			if open {
				lines++
			}
			return lines, true, nil
		}
		if err != nil {
			return lines, false, err
		}
		lines += bytes.Count(piece, []byte("\n"))
		open = piece[len(piece)-1] != '\n'
		seen += len(piece)
		_, _ = r.in.Discard(len(piece)) // they are in the buffer
	}
	return lines, false, nil
}

// valid makes text of bytes that may be none.
func valid(p []byte) string {
	return strings.ToValidUTF8(strings.ReplaceAll(string(p), "\x00", "\ufffd"), "\ufffd")
}

// firstOf returns the first n runes of text.
func firstOf(text string, n int) string {
	for i := range text {
		if n == 0 {
			return text[:i]
		}
		n--
	}
	return text
}
