package office

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var update = flag.Bool("update", false, "write the texts in testdata anew")

// TestDocumentsOfRealPrograms reads what python-docx, python-pptx (both from
// templates that Microsoft's programs wrote), openpyxl, XlsxWriter, odfpy and
// nbformat have written.
func TestDocumentsOfRealPrograms(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.*")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, path := range paths {
		if filepath.Ext(path) == ".txt" {
			continue
		}
		read++
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !Maybe(path, data) {
			t.Errorf("%s is not taken for a document", path)
		}
		document, err := readBytes(t.Context(), path, data, 1<<20)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		got := document.Kind + "\n\n" + document.Text
		golden := path + ".txt"
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil || got != string(want) {
			t.Errorf("%s (%v):\n%s", path, err, got)
		}
	}
	if read < 7 {
		t.Errorf("only %d documents were read", read)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	para := func(inner string) string { return `<w:p>` + inner + `</w:p>` }
	run := func(text string) string { return `<w:r><w:t>` + text + `</w:t></w:r>` }
	item := func(list, level, text string) string {
		return para(`<w:pPr><w:numPr><w:ilvl w:val="` + level + `"/><w:numId w:val="` + list + `"/></w:numPr></w:pPr>` + run(text))
	}
	numbering := parts{"word/numbering.xml": `<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="5"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum><w:num w:numId="2"><w:abstractNumId w:val="5"/></w:num></w:numbering>`}
	dates := parts{
		"xl/styles.xml":        `<styleSheet><numFmts><numFmt numFmtId="164" formatCode="[$-409]d\-mmm"/><numFmt numFmtId="165" formatCode="0.0&quot; days&quot;"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="46"/></cellXfs></styleSheet>`,
		"xl/sharedStrings.xml": `<sst><si><t>one</t></si><si><r><t>t</t></r><r><t>wo</t></r><rPh><t>no</t></rPh></si></sst>`,
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"paragraphs", docx(t, para(run("a &amp; b")+run(" c"))+para("")+para(run("d")+`<w:r><w:tab/><w:br/></w:r>`+run("e")), nil), "a & b c\n\nd\t\ne\n"},
		{"tab stops are no text", docx(t, para(`<w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr>`+run("a")), nil), "a\n"},
		{"a heading whose style has a foreign id", docx(t, para(`<w:pPr><w:pStyle w:val="berschrift2"/></w:pPr>`+run("Titel")), parts{"word/styles.xml": `<w:styles xmlns:w="w"><w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style></w:styles>`}), "## Titel\n"},
		{"lists", docx(t, item("2", "0", "a")+item("2", "1", "b")+item("2", "0", "c")+para(run("d")), numbering), "1. a\n  - b\n2. c\n\nd\n"},
		{"what was deleted is gone", docx(t, para(`<w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:ins>`+run("new")+`</w:ins>`), nil), "new\n"},
		{"a text box once", docx(t, para(`<mc:AlternateContent><mc:Choice>`+para(run("box"))+`</mc:Choice><mc:Fallback>`+para(run("box"))+`</mc:Fallback></mc:AlternateContent>`), nil), "box\n"},
		{"a picture", docx(t, para(`<w:drawing><wp:docPr descr="a  ship"/><a:blip/></w:drawing>`), nil), "[image: a ship]\n"},
		{"a footnote", docx(t, para(run("text")+`<w:r><w:footnoteReference w:id="2"/></w:r>`), parts{"word/footnotes.xml": `<w:footnotes xmlns:w="w"><w:footnote w:type="separator" w:id="0">` + para(run("-")) + `</w:footnote><w:footnote w:id="2">` + para(run("note")) + `</w:footnote></w:footnotes>`}), "text[^2]\n\n[^2]: note\n"},
		{"a table in a table", docx(t, `<w:tbl><w:tr><w:tc>`+para(run("a"))+`<w:tbl><w:tr><w:tc>`+para(run("in"))+`</w:tc></w:tr></w:tbl></w:tc><w:tc>`+para(run("b"))+`</w:tc></w:tr></w:tbl>`, nil), "| a in ; | b |\n| --- | --- |\n"},
		{"a main part of another name", pack(t, parts{"_rels/.rels": relations("r1 officeDocument /word/document2.xml"), "word/document2.xml": `<w:document xmlns:w="w">` + para(run("x")) + `</w:document>`}), "x\n"},
		{"content types that lie", docx(t, para(run("x")), parts{"[Content_Types].xml": `<Types><Default Extension="xml" ContentType="image/png"/></Types>`}), "x\n"},
		{"a style sheet that is broken", docx(t, para(run("x")), parts{"word/styles.xml": `<w:styles`}), "x\n"},

		{"cells", xlsx(t, `<row r="1"><c r="A1" t="s"><v>0</v></c><c r="C1" t="s"><v>1</v></c></row><row r="2"><c t="inlineStr"><is><t>in</t></is></c><c t="b"><v>1</v></c><c t="e"><v>#N/A</v></c><c t="str"><f>A1</f><v>x</v></c></row>`, dates), "## Sheet: S\none\t\ttwo\nin\tTRUE\t#N/A\tx\n"},
		{"dates and what is none", xlsx(t, `<row><c s="1"><v>45351</v></c><c s="2"><v>45351.5</v></c><c s="3"><v>45351</v></c><c s="4"><v>0.25</v></c><c s="0"><v>0.30000000000000004</v></c><c s="1"><v>1</v></c></row>`, dates), "## Sheet: S\n2024-02-29\t2024-02-29 12:00:00\t45351\t06:00:00\t0.3\t1900-01-01\n"},
		{"rows that are missing", xlsx(t, `<row r="2"><c r="A2"><v>1</v></c></row><row r="9"><c r="A9"><v>2</v></c></row>`, nil), "## Sheet: S\n\n1\n(rows 3 to 8 are empty)\n2\n"},
		{"a text that is not there", xlsx(t, `<row><c t="s"><v>7</v></c></row>`, nil), "## Sheet: S\n#REF!\n"},
		{"cells and rows of nonsense", xlsx(t, `<row r="-5"><c r="ZZZZZZZZZ99"><v>x</v></c><c r="A1"><v>y</v></c></row>`, nil), "## Sheet: S\n\t[column XFD] xy\n"},

		{"an OpenDocument text", odf(t, "text", `<text:h text:outline-level="3">H</text:h><text:p>a<text:line-break/>b</text:p><text:p><office:annotation><text:p>remark</text:p></office:annotation>c</text:p>`), "### H\n\na b\n\nc\n"},
		{"its rows that are repeated", odf(t, "spreadsheet", `<table:table table:name="T"><table:table-row table:number-rows-repeated="3"><table:table-cell table:number-columns-repeated="2"><text:p>v 1</text:p></table:table-cell></table:table-row></table:table>`), "## Sheet: T\nv 1\tv 1\n(rows 2 to 3 are the same)\n"},
		{"its slides", odf(t, "presentation", `<draw:page><text:p>a</text:p><presentation:notes><text:p>n</text:p></presentation:notes></draw:page><draw:page><text:p>b</text:p></draw:page>`), "## Slide 1\na\n\nNotes: n\n\n## Slide 2\nb\n"},

		{"a notebook of old", []byte(`{"worksheets":[{"cells":[{"cell_type":"code","input":["a\n","b"],"outputs":[{"output_type":"pyout","text":["c"],"png":"iV"}]}]}]}`), "[cell 1: code]\na\nb\n[output]\nc\n[an image]\n"},
		{"a notebook with a long output", []byte(`{"cells":[{"cell_type":"code","source":"x","outputs":[{"output_type":"stream","text":"` + strings.Repeat("y", 5000) + `"}]}]}`), "[cell 1: code]\nx\n[output]\n" + strings.Repeat("y", 1333) + "\n[… 3000 characters left out …]\n" + strings.Repeat("y", 666) + "\n"},
		{"a notebook with odd types", []byte(`{"cells":[{"cell_type":"markdown","source":7},{"cell_type":"raw","source":"r","execution_count":"no"}]}`), "[cell 1: markdown]\n\n[cell 2: raw]\nr\n"},
		{"a notebook without cells", []byte(`{"cells":[]}`), ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			name := "f"
			if test.data[0] == '{' {
				name = "f.ipynb"
			}
			got, err := readBytes(t.Context(), name, test.data, 1<<20)
			if err != nil || got.Text != test.want || got.Cut {
				t.Errorf("%v\ngot\n%q\nwant\n%q", err, got.Text, test.want)
			}
			for _, limit := range []int{0, 1, 5, len(got.Text)} {
				short, err := readBytes(t.Context(), name, test.data, limit)
				if err != nil || len(short.Text) > limit || !utf8.ValidString(short.Text) || !strings.HasPrefix(got.Text, short.Text) || short.Cut != (limit < len(got.Text)) {
					t.Errorf("with %d bytes: %q, cut %v, %v", limit, short.Text, short.Cut, err)
				}
			}
		})
	}
}
