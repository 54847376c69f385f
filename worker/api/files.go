package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"hermes/worker/llm"
	"hermes/worker/openai"
)

// maxFileText is how many bytes of text the files of one request may hold
// together: more than most models take, and less than what would trouble us.
const maxFileText = 1 << 20

// errNoText is what a file is refused with that holds something else.
var errNoText = errors.New("the file holds no text")

// fileReader reads the files of one request into text.
type fileReader struct {
	pdf func(data []byte, limit int) (string, error) // nil when there is nothing that can
	// document reads Office documents and notebooks, and says of others that they
	// are none.
	document func(name string, data []byte, limit int) (text string, found bool, err error)
	left     int // bytes of text that may still come
}

func (s *Server) newFileReader(ctx context.Context) *fileReader {
	r := &fileReader{left: maxFileText}
	if s.opts.ReadPDF != nil {
		r.pdf = func(data []byte, limit int) (string, error) { return s.opts.ReadPDF(ctx, data, limit) }
	}
	r.document = func(name string, data []byte, limit int) (string, bool, error) {
		if s.opts.ReadDocument == nil {
			return "", false, nil
		}
		return s.opts.ReadDocument(ctx, name, data, limit)
	}
	return r
}

// chatPart reads the file of a part of a chat message. At names the part.
func (r *fileReader) chatPart(part openai.Part, at string) (llm.Part, error) {
	file := openai.File{Filename: part.Filename, FileData: part.FileData, FileID: part.FileID}
	if part.Type == openai.PartFile {
		at += ".file"
		if part.File == nil {
			return llm.Part{}, invalid(at, codeInvalidValue, "%s is missing. It must be an object with filename and file_data.", at)
		}
		file = *part.File
	}
	if file.FileData == "" && (file.FileID != "" || part.FileURL != "") {
		return llm.Part{}, invalid(at+".file_data", codeInvalidValue, "%s.file_data is missing: this server keeps no files and fetches none. Send the file itself as a data URI.", at)
	}
	return r.part(file.Filename, file.FileData, at)
}

// part returns a file as the text that the model reads, with the name of the file
// around it. The data is a data URI or bare base64.
func (r *fileReader) part(name, data, at string) (llm.Part, error) {
	if data == "" {
		return llm.Part{}, invalid(at+".file_data", codeInvalidValue, "%s.file_data is missing. It must be a data URI (data:text/plain;base64,…).", at)
	}
	kind, content, err := decodeData(data)
	if err != nil {
		return llm.Part{}, invalid(at+".file_data", codeInvalidValue, "%s.file_data must be a data URI (data:text/plain;base64,…) or base64: %v.", at, err)
	}
	name = strings.ReplaceAll(oneLine(path.Base(strings.ReplaceAll(name, `\`, "/"))), `"`, "'")
	if name == "" || name == "." || name == "/" {
		name = "file"
	}
	kind = kindOf(kind, name, content)
	text, err := r.text(kind, name, content)
	switch {
	case errors.Is(err, errNoText):
		return llm.Part{}, invalid(at+".file_data", codeContentType,
			"%s.file_data: %s is of type %s. PDF and Office documents, notebooks and text files of all kinds are read into a message, and this is none of them; put it into the agent's workspace instead.", at, name, kind)
	case err != nil:
		return llm.Part{}, invalid(at+".file_data", codeContentType, "%s.file_data: %s (%s) %v.", at, name, kind, err)
	case len(text) > r.left:
		return llm.Part{}, invalid(at+".file_data", codeInvalidValue,
			"%s.file_data: %s holds too much text. The files of one request may hold %d bytes of it together; put larger ones into the agent's workspace.", at, name, maxFileText)
	}
	r.left -= len(text)
	return llm.Part{Text: fmt.Sprintf("<file name=\"%s\" type=\"%s\">\n%s\n</file>", name, kind, strings.TrimRight(text, "\n"))}, nil
}

// text reads a file. The error is errNoText, or says the rest of a sentence that
// begins with the file's name.
func (r *fileReader) text(kind, name string, content []byte) (string, error) {
	if kind == "application/pdf" {
		if r.pdf == nil {
			return "", errors.New("is not read by this server. Send its text instead")
		}
		text, err := r.pdf(content, r.left+1)
		switch {
		case err != nil:
			return "", fmt.Errorf("cannot be read: %w", err)
		case strings.TrimSpace(text) == "":
			return "", errors.New("holds no text; perhaps it was scanned. Send its pages as images")
		}
		return strings.ToValidUTF8(text, "\uFFFD"), nil
	}
	text, found, err := r.document(name, content, r.left+utf8.UTFMax)
	switch {
	case err != nil:
		return "", err
	case found && strings.TrimSpace(text) == "":
		return "", errors.New("holds no text")
	case found:
		return text, nil
	}
	return plainText(content, strings.HasPrefix(kind, "text/") || strings.EqualFold(path.Ext(name), ".csv"))
}

// decodeData takes a data URI apart, or bare base64.
func decodeData(data string) (kind string, content []byte, err error) {
	rest, ok := cutPrefixFold(data, "data:")
	if !ok {
		content, err = decodeBase64(data)
		return "", content, err
	}
	head, body, ok := strings.Cut(rest, ",")
	if !ok {
		return "", nil, errors.New("there is no comma in it")
	}
	head, encoded := strings.CutSuffix(head, ";base64")
	kind, _, err = mime.ParseMediaType(head)
	if err != nil {
		kind = "" // the file's name and content say enough
	}
	if encoded {
		content, err = decodeBase64(body)
		return kind, content, err
	}
	body, err = url.PathUnescape(body)
	return kind, []byte(body), err
}

func decodeBase64(text string) ([]byte, error) {
	content, err := base64.StdEncoding.DecodeString(text) // which ignores line breaks
	if err != nil {
		content, err = base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	}
	return content, err
}

// cutPrefixFold is strings.CutPrefix for ASCII in any case.
func cutPrefixFold(text, prefix string) (string, bool) {
	if len(text) < len(prefix) || !strings.EqualFold(text[:len(prefix)], prefix) {
		return text, false
	}
	return text[len(prefix):], true
}

// kindOf is the media type of a file: as its client says, else by its name, else
// by its content.
func kindOf(kind, name string, content []byte) string {
	if bytes.HasPrefix(content, []byte("%PDF-")) {
		return "application/pdf"
	}
	for _, candidate := range []string{kind, mime.TypeByExtension(path.Ext(name)), http.DetectContentType(content)} {
		candidate, _, _ = strings.Cut(candidate, ";")
		if candidate != "" && candidate != "application/octet-stream" {
			return oneLine(candidate)
		}
	}
	return "application/octet-stream"
}

// plainText returns content as UTF-8 if it is text. What a file is called says
// little (.ts is code, and a video), so its bytes decide. Old encodings of one
// byte cannot be told from data and are taken for text only where it is expected.
func plainText(content []byte, expected bool) (string, error) {
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	switch {
	case bytes.HasPrefix(content, []byte{0xff, 0xfe}):
		return utf16Text(content[2:], binary.LittleEndian)
	case bytes.HasPrefix(content, []byte{0xfe, 0xff}):
		return utf16Text(content[2:], binary.BigEndian)
	case bytes.ContainsFunc(content, func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\v\f\r\b\x1b", r) }):
		return "", errNoText
	case utf8.Valid(content):
		return string(content), nil
	case !expected:
		return "", errNoText
	}
	text := make([]rune, len(content))
	for i, b := range content {
		text[i] = rune(b)
		if b >= 0x80 && b < 0xa0 {
			text[i] = windows1252()[b-0x80]
		}
	}
	return string(text), nil
}

// windows1252 holds what that encoding has at 0x80 to 0x9f; elsewhere it is
// Unicode.
func windows1252() [32]rune {
	return [32]rune{
		'€', 0x81, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0x8d, 'Ž', 0x8f,
		0x90, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0x9d, 'ž', 'Ÿ',
	}
}

// utf16Text decodes what follows a byte order mark.
func utf16Text(content []byte, order binary.ByteOrder) (string, error) {
	if len(content)%2 != 0 {
		return "", errNoText
	}
	units := make([]uint16, len(content)/2)
	for i := range units {
		if units[i] = order.Uint16(content[2*i:]); units[i] == 0 {
			return "", errNoText
		}
	}
	return string(utf16.Decode(units)), nil
}
