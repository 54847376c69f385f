package office

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// ole is a file of the structure of the Office of before 2007, with a stream of
// that name.
func ole(stream string) []byte {
	return []byte(oleMagic + strings.Repeat("\x00", 1000) + strings.Join(strings.Split(stream, ""), "\x00") + "\x00")
}

func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	nested := strings.Repeat("<w:tbl><w:tr><w:tc>", 10_000) + strings.Repeat("</w:tc></w:tr></w:tbl>", 10_000)
	many := parts{"[Content_Types].xml": "x"}
	for i := range maxEntries {
		many[fmt.Sprint(i)] = ""
	}
	encrypted := docx(t, "", nil)
	for at := 0; ; at += 4 { // the flag in the list of entries
		next := bytes.Index(encrypted[at:], []byte("PK\x01\x02"))
		if next < 0 {
			break
		}
		at += next
		encrypted[at+8] |= 1
	}
	tests := []struct {
		name string
		data []byte
		want error
		says string
	}{
		{"tables nested ten thousand deep", docx(t, nested, nil), ErrCostly, "more than 500 deep"},
		{"one word of many megabytes", docx(t, "<w:p><w:t>"+strings.Repeat("a", 2<<20)+"</w:t></w:p>", nil), ErrCostly, ""},
		{"an attribute of many megabytes", docx(t, `<w:p a="`+strings.Repeat("a", 2<<20)+`"/>`, nil), ErrCostly, ""},
		{"a comment of many megabytes", docx(t, "<!--"+strings.Repeat("<a>", 1<<20)+"-->", nil), ErrCostly, ""},
		{"ten thousand parts and more", pack(t, many), ErrCostly, ""},
		{"an entity that explodes", pack(t, parts{"_rels/.rels": relations("r officeDocument d.xml"), "d.xml": `<!DOCTYPE d [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><document><p><t>&b;</t></p></document>`}), ErrDamaged, ""},
		{"an entity that reads a file", pack(t, parts{"_rels/.rels": relations("r officeDocument d.xml"), "d.xml": `<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><document><p><t>&a;</t></p></document>`}), ErrDamaged, ""},
		{"a main part that is missing", pack(t, parts{"_rels/.rels": relations("r officeDocument ../../etc/passwd")}), ErrDamaged, "is missing"},
		{"a sheet that is missing", pack(t, parts{"_rels/.rels": relations("r officeDocument w.xml"), "w.xml": `<workbook xmlns:r="r"><sheet name="a" r:id="r9"/></workbook>`}), ErrDamaged, "is missing"},
		{"a document cut short", docx(t, "<w:p/>", nil)[:400], ErrDamaged, ""},
		{"XML cut short", pack(t, parts{"_rels/.rels": relations("r officeDocument d.xml"), "d.xml": `<document><p>`}), ErrDamaged, ""},
		{"a main part of another kind", pack(t, parts{"_rels/.rels": relations("r officeDocument d.xml"), "d.xml": `<svg/>`}), ErrDamaged, ""},
		{"a binary workbook", pack(t, parts{"_rels/.rels": relations("r officeDocument xl/workbook.bin"), "xl/workbook.bin": "\x83"}), ErrDamaged, "binary workbook. Save it as XLSX"},
		{"an archive of something else", pack(t, parts{"a.txt": "a"}), ErrOther, ""},
		{"parts with a password", encrypted, ErrEncrypted, "Save a copy without a password"},
		{"an encrypted document", ole("EncryptedPackage"), ErrEncrypted, "Save a copy without a password"},
		{"an encrypted OpenDocument", pack(t, parts{"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "\x00", "META-INF/manifest.xml": "<manifest:encryption-data/>"}), ErrEncrypted, ""},
		{"Word of before 2007", ole("WordDocument"), ErrDamaged, "it is a Word document of the format before 2007. Save it as DOCX"},
		{"Excel of before 2007", ole("Workbook"), ErrDamaged, "Save it as XLSX"},
		{"PowerPoint of before 2007", ole("PowerPoint Document"), ErrDamaged, "Save it as PPTX"},
		{"something else of that structure", ole("Root"), ErrOther, ""},
		{"text", []byte("text"), ErrOther, ""},
		{"nothing", nil, ErrOther, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			_, err := readBytes(t.Context(), "f", test.data, 1<<20)
			if !errors.Is(err, test.want) || !strings.Contains(fmt.Sprint(err), test.says) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	for _, content := range []string{strings.Repeat(`{"cells":[`, 20_000), `{"cells":[`, "{}", "null", "text"} {
		if _, err := readBytes(t.Context(), "f.ipynb", []byte(content), 1<<20); !errors.Is(err, ErrOther) {
			t.Errorf("a notebook that is none: %v", err)
		}
	}
}

// What a document unpacks to, and the XML in it, are bounded. The limits are
// nearly reached before, so that the test is quick; BenchmarkBomb has all of it.
func TestBombs(t *testing.T) {
	t.Parallel()
	data := docx(t, strings.Repeat("<w:p>"+strings.Repeat(" ", 100)+"</w:p>", 10_000), nil)
	for name, reach := range map[string]func(*archive){
		"unpacked bytes": func(a *archive) { a.left -= maxUnpacked - 500_000 },
		"tokens":         func(a *archive) { a.tokens += maxTokens - 5_000 },
		"neither":        func(*archive) {},
	} {
		a, err := open(t.Context(), bytes.NewReader(data), int64(len(data)), &writer{left: 100})
		if err != nil {
			t.Fatal(err)
		}
		reach(a)
		if _, err := a.read(); errors.Is(err, ErrCostly) != (name != "neither") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkBomb is what the worst document costs that is known: tags without text.
func BenchmarkBomb(b *testing.B) {
	bomb := docx(b, strings.Repeat("<w:p/>", maxTokens/2), nil)
	b.ReportMetric(float64(len(bomb)), "bytes")
	for b.Loop() {
		if _, err := readBytes(b.Context(), "f", bomb, 1<<20); !errors.Is(err, ErrCostly) {
			b.Fatal(err)
		}
	}
}

// stuck is a document that nobody can read on in.
type stuck struct {
	data  *bytes.Reader
	reads int
	stop  context.CancelCauseFunc
	cause error
}

func (s *stuck) ReadAt(p []byte, at int64) (int, error) {
	if s.reads--; s.reads == 0 {
		s.stop(s.cause)
	}
	return s.data.ReadAt(p, at)
}

var _ io.ReaderAt = &stuck{}

func TestReadingEndsWithItsTurn(t *testing.T) {
	t.Parallel()
	data := docx(t, strings.Repeat("<w:p><w:t>a</w:t></w:p>", 50_000), nil)
	for reads := 1; reads < 6; reads++ {
		ctx, stop := context.WithCancelCause(t.Context())
		cause := errors.New("the client has gone")
		s := &stuck{bytes.NewReader(data), reads, stop, cause}
		if _, err := New().Read(ctx, "f", s, int64(len(data)), 2<<20); !errors.Is(err, cause) {
			t.Errorf("ended at read %d: %v", reads, err)
		}
	}
}

// Documents wait for each other, but not for ever.
func TestDocumentsWaitForEachOther(t *testing.T) {
	t.Parallel()
	r := New()
	release, ended := make(chan struct{}), make(chan error)
	data := docx(t, "<w:p><w:t>a</w:t></w:p>", nil)
	for range maxAtOnce {
		go func() {
			_, err := r.Read(t.Context(), "f", blocked{bytes.NewReader(data), release}, int64(len(data)), 100)
			ended <- err
		}()
	}
	for len(r.slots) < maxAtOnce {
		runtime.Gosched()
	}
	ctx, stop := context.WithCancelCause(t.Context())
	cause := errors.New("the client has gone")
	stop(cause)
	if _, err := r.Text(ctx, "f", data, 100); !errors.Is(err, cause) {
		t.Errorf("one too many: %v", err)
	}
	close(release)
	for range maxAtOnce {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if text, err := r.Text(t.Context(), "f", data, 100); text != "a\n" || err != nil {
		t.Errorf("afterwards: %q, %v", text, err)
	}
}

// blocked is a document on a disk that does not answer yet.
type blocked struct {
	data    *bytes.Reader
	release chan struct{}
}

func (b blocked) ReadAt(p []byte, at int64) (int, error) {
	<-b.release
	return b.data.ReadAt(p, at)
}

func FuzzRead(f *testing.F) {
	f.Add("f", docx(f, `<w:p><w:t>a</w:t></w:p>`, nil))
	f.Add("f", xlsx(f, `<row><c><v>1</v></c></row>`, nil))
	f.Add("f", odf(f, "spreadsheet", `<table:table-cell table:number-columns-repeated="9"/>`))
	f.Add("f.ipynb", []byte(`{"cells":[{"source":["a"],"outputs":[{"data":{"image/png":1}}]}]}`))
	f.Add("f", ole("Workbook"))
	f.Fuzz(func(t *testing.T, name string, data []byte) { check(t, name, data) })
}

// FuzzParts fuzzes what is in the parts, which a fuzzer cannot reach through the
// compression.
func FuzzParts(f *testing.F) {
	f.Add(`<w:p><w:pPr><w:pStyle w:val="a"/></w:pPr><w:t>a</w:t></w:p></w:tbl></w:p>`, `<c s="1" t="s"><v>1</v></c>`, `<styleSheet><cellXfs><xf numFmtId="14"/></cellXfs></styleSheet>`)
	f.Add(`<tbl><tr><tc><p><t>a</t></p></tc></tr></tbl>`, `<row r="9"><c r="ZZ9"><v>1e99</v></c></row>`, `<sst><si><t>a</t></si></sst>`)
	f.Fuzz(func(t *testing.T, body, rows, aside string) {
		check(t, "f", docx(t, body, parts{"word/styles.xml": aside, "word/numbering.xml": aside, "word/footnotes.xml": body}))
		check(t, "f", xlsx(t, rows, parts{"xl/styles.xml": aside, "xl/sharedStrings.xml": aside}))
		for _, kind := range []string{"text", "spreadsheet", "presentation"} {
			check(t, "f", odf(t, kind, body+rows))
		}
		check(t, "f", pack(t, parts{
			"_rels/.rels": relations("r officeDocument p.xml"), "p.xml": `<presentation xmlns:r="r"><sldId r:id="s"/></presentation>`,
			"_rels/p.xml.rels": relations("s slide s.xml"), "s.xml": "<s>" + body + "</s>", "_rels/s.xml.rels": aside,
		}))
	})
}

func check(t *testing.T, name string, data []byte) {
	t.Helper()
	const limit = 10_000
	got, err := readBytes(t.Context(), name, data, limit)
	if len(got.Text) > limit {
		t.Errorf("%d bytes", len(got.Text))
	}
	for _, known := range []error{ErrEncrypted, ErrDamaged, ErrCostly, ErrOther} {
		if errors.Is(err, known) {
			return
		}
	}
	if err != nil {
		t.Errorf("an error of no known kind: %v", err)
	}
}
