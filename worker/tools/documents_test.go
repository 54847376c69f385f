package tools

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// wordDocument makes a Word document of paragraphs.
func wordDocument(t *testing.T, paragraphs ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range map[string]string{
		"[Content_Types].xml": "<Types/>",
		"word/document.xml":   "<document><p><t>" + strings.Join(paragraphs, "</t></p><p><t>") + "</t></p></document>",
	} {
		part, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := part.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

const aNotebook = `{"cells": [{"cell_type": "code", "source": ["x = 1\n", "y"], "outputs": []}]}`

// newDocumentSet makes all tools, with something that reads PDF documents.
func newDocumentSet(t *testing.T) (set *Set, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "workspace")
	set, err := NewSet(kept(Options{Workspace: dir, Sandbox: box, PDF: func(ctx context.Context, data []byte, _ int) (string, error) {
		switch {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case bytes.Contains(data, []byte("locked")):
			return "", errors.New("it is encrypted. Send a copy without a password")
		case bytes.Contains(data, []byte("scanned")):
			return "\n", nil
		}
		return "page one\n\npage two\n", nil
	}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set, dir
}

func TestReadFileOfDocuments(t *testing.T) {
	t.Parallel()
	head := func(name, kind string) string {
		return "[" + name + " is " + kind + ". This is text taken out of it, so write_file and patch cannot change it by these lines.]\n"
	}
	tests := []struct {
		name, file, content string
		args                args
		want                string
		failed              bool
	}{
		{name: "Word", file: "a.docx", content: wordDocument(t, "one", "two"), want: head("a.docx", "a Word document") + "1|one\n2|\n3|two\n"},
		{name: "a page of it", file: "a.docx", content: wordDocument(t, "one", "two"), args: args{"offset": 2, "limit": 1}, want: head("a.docx", "a Word document") + "2|\n[lines 2 to 2 of 3; read on with offset 3]\n"},
		{name: "beyond its end", file: "a.docx", content: wordDocument(t, "one"), args: args{"offset": 9}, want: "a.docx has 1 lines; line 9 is beyond its end.", failed: true},
		{name: "under another name", file: "a.bin", content: wordDocument(t, "one"), want: head("a.bin", "a Word document") + "1|one\n"},
		{name: "without text", file: "a.docx", content: wordDocument(t), want: head("a.docx", "a Word document") + "a.docx is empty."},
		{name: "damaged", file: "a.docx", content: wordDocument(t, "one")[:100], want: "a.docx is damaged, or of a kind that is not known here.", failed: true},
		{name: "of before 2007", file: "a.doc", content: "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00W\x00o\x00r\x00d\x00D\x00o\x00c\x00u\x00m\x00e\x00n\x00t\x00", want: "a.doc is damaged, or of a kind that is not known here: it is a Word document of the format before 2007. Save it as DOCX.", failed: true},
		{name: "an archive", file: "a.zip", content: "PK\x03\x04\x00\x00", want: "a.zip is damaged, or of a kind that is not known here.", failed: true},
		{name: "a notebook", file: "a.ipynb", content: aNotebook, want: head("a.ipynb", "a Jupyter notebook") + "1|[cell 1: code]\n2|x = 1\n3|y\n"},
		{name: "an empty notebook", file: "a.ipynb", content: "", want: "a.ipynb is empty."},
		{name: "PDF", file: "a.pdf", content: "%PDF-1.4", want: head("a.pdf", "a PDF document") + "1|page one\n2|\n3|page two\n"},
		{name: "PDF with a password", file: "a.pdf", content: "%PDF-1.4 locked", want: "a.pdf is a PDF document that cannot be read: it is encrypted. Send a copy without a password.", failed: true},
		{name: "PDF of pictures", file: "a.pdf", content: "%PDF-1.4 scanned", want: "a.pdf is a PDF document without text, perhaps of scanned pages.", failed: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, dir := newDocumentSet(t)
			put(t, dir, test.file, test.content)
			arguments := args{"path": test.file}
			maps.Copy(arguments, test.args)
			if got := call(t.Context(), t, set, "read_file", arguments); got.Text != test.want || got.Failed != test.failed {
				t.Errorf("failed %v:\n%s", got.Failed, got.Text)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			cause := errors.New("the client has gone")
			cancel(cause)
			if test.failed || test.content == "" {
				return
			}
			if _, err := set.Run(ctx, toolCall("read_file", `{"path":"`+test.file+`"}`)); !errors.Is(err, cause) {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
	set, _ := newSet(t)
	outside := filepath.Join(t.TempDir(), "a.docx")
	if err := os.WriteFile(outside, []byte(wordDocument(t, "secret")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, set.workspace.dir("link.docx")); err != nil {
		t.Fatal(err)
	}
	expect(t, call(t.Context(), t, set, "read_file", args{"path": "link.docx"}), true, "leads out of the workspace")
}

// What was read as the text of a document is not written back over it.
func TestDocumentsAreSpared(t *testing.T) {
	t.Parallel()
	set, dir := newDocumentSet(t)
	for name, content := range map[string]string{"a.docx": wordDocument(t, "one"), "a.pdf": "%PDF-1.4 one", "a.png": pictureOf(t, "png", 2, 2), "a.ipynb": aNotebook} {
		put(t, dir, name, content)
	}
	edit := func(path string) args { return args{"path": path, "old_string": "one", "new_string": "two"} }
	for _, test := range []struct {
		tool string
		args args
		want string
	}{
		{"write_file", args{"path": "a.docx", "content": "1|one"}, "Nothing was written. a.docx is an Office document or an archive, which plain text would destroy."},
		{"write_file", args{"path": "a.pdf", "content": "x"}, "a.pdf is a PDF document, which plain text would destroy."},
		{"write_file", args{"path": "a.png", "content": "x"}, "a.png is an image, which plain text would destroy."},
		{"write_file", args{"path": "a.ipynb", "content": "x = 2"}, "Nothing was written. a.ipynb is a notebook, and this would leave it without the JSON that a notebook is."},
		{"patch", edit("a.docx"), "Nothing was changed. a.docx is an Office document"},
		{"patch", edit("a.pdf"), "Nothing was changed. a.pdf is a PDF document"},
		{"patch", args{"path": "a.ipynb", "old_string": "y\"]", "new_string": "z"}, "Nothing was changed. a.ipynb is a notebook"},
		{"patch", args{"patch": "*** Begin Patch\n*** Update File: a.ipynb\n@@\n-" + aNotebook + "\n+{}\n*** End Patch"}, "Nothing was changed. a.ipynb is a notebook"},
	} {
		before := tree(t, dir)
		expect(t, call(t.Context(), t, set, test.tool, test.args), true, test.want)
		if tree(t, dir) != before {
			t.Errorf("%s %v has changed the workspace", test.tool, test.args)
		}
	}
	// What leaves a notebook a notebook is done, and a broken one can be mended.
	expect(t, call(t.Context(), t, set, "patch", args{"path": "a.ipynb", "old_string": "x = 1", "new_string": "x = 2"}), false, "Changed a.ipynb")
	expect(t, call(t.Context(), t, set, "write_file", args{"path": "a.ipynb", "content": `{"cells":[]}`}), false, "Overwrote a.ipynb")
	put(t, dir, "b.ipynb", `{"cells":[]`)
	expect(t, call(t.Context(), t, set, "patch", args{"path": "b.ipynb", "old_string": "[]", "new_string": "[]}"}), false, "Changed b.ipynb")
}

// pictureOf makes an image file.
func pictureOf(t *testing.T, format string, width, height int) string {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch picture := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.Black}); format {
	case "png":
		err = png.Encode(&out, picture)
	case "jpeg":
		err = jpeg.Encode(&out, picture, nil)
	default:
		err = gif.Encode(&out, picture, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestReadFileShowsImages(t *testing.T) {
	t.Parallel()
	webp := func(chunk string) string { return "RIFF\x00\x00\x00\x00WEBP" + chunk + strings.Repeat("\x00", 8) }
	tests := []struct {
		name, content, want string
		shown               bool
	}{
		{"png", pictureOf(t, "png", 640, 480), "f is an image: png, 640 × 480 pixels, ", true},
		{"jpeg", pictureOf(t, "jpeg", 30, 20), "f is an image: jpeg, 30 × 20 pixels, ", true},
		{"gif", pictureOf(t, "gif", 3, 2), "f is an image: gif, 3 × 2 pixels, ", true},
		{"webp, lossy", webp("VP8 \x00\x00\x00\x00\x00\x00\x00\x9d\x01\x2a\x80\x02\xe0\x01"), "f is an image: webp, 640 × 480 pixels, ", true},
		{"webp, lossless", webp("VP8L\x00\x00\x00\x00\x2f\x7f\xc2\x77\x00"), "f is an image: webp, 640 × 480 pixels, ", true},
		{"webp, extended", webp("VP8X\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x02\x00\xdf\x01\x00"), "f is an image: webp, 640 × 480 pixels, ", true},
		{"webp, cut", webp("VP8X"), "f is a binary file (image/webp, ", false},
		{"too many pixels", pictureOf(t, "png", 8001, 1), "8001 × 1 pixels, 92 bytes. It is too large to be shown: 3750000 bytes and 8000 pixels to a side are the limits.", false},
		{"too many bytes", pictureOf(t, "png", 1, 1) + strings.Repeat("x", maxImageBytes), "It is too large to be shown", false},
		{"cut", pictureOf(t, "png", 10, 10)[:20], "f is a binary file (image/png, 20 bytes).", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set, dir := newSet(t)
			put(t, dir, "f", test.content)
			got := call(t.Context(), t, set, "read_file", args{"path": "f"})
			if !strings.Contains(got.Text, test.want) || got.Failed == test.shown || len(got.Images) > 0 != test.shown {
				t.Fatalf("failed %v, %d images: %s", got.Failed, len(got.Images), got.Text)
			}
			if test.shown && (string(got.Images[0].Data) != test.content || got.Images[0].MIME != "image/"+strings.TrimSuffix(strings.Fields(test.name)[0], ",")) {
				t.Errorf("another image is shown: %s", got.Images[0].MIME)
			}
		})
	}
}

// Whatever a file holds, looking for a picture in it ends, and finds none that a
// model would not take.
func FuzzPicture(f *testing.F) {
	f.Add([]byte("RIFF\x00\x00\x00\x00WEBPVP8X\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x02\x00\xdf\x01\x00"))
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde"))
	f.Add([]byte("\xff\xd8\xff\xc0\x00\x11\x08\x00\x01\x00\x01\x03"))
	f.Add([]byte("GIF89a\x01\x00\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, ok := pictureIn(bytes.NewReader(data), int64(len(data)))
		if !ok {
			return
		}
		result := found.show("f", data, int64(len(data)))
		if shown := len(result.Images) == 1; shown == result.Failed || shown && max(found.width, found.height) > maxImageSide {
			t.Errorf("%+v: %s", found, result.Text)
		}
	})
}
