package office

import (
	"archive/zip"
	"bytes"
	"context"
	"maps"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parts are those of a document, by name.
type parts map[string]string

// pack makes the archive of a document.
func pack(tb testing.TB, parts parts) []byte {
	tb.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, content := range parts {
		part, err := w.Create(name)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := part.Write([]byte(content)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// relations makes a part of relations out of lines of id, last word of the kind,
// and target.
func relations(lines ...string) string {
	var out strings.Builder
	out.WriteString(`<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`)
	for _, line := range lines {
		f := strings.Fields(line)
		out.WriteString(`<Relationship Id="` + f[0] + `" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/` + f[1] + `" Target="` + f[2] + `"/>`)
	}
	return out.String() + `</Relationships>`
}

// docx makes a Word document of a body, and further parts.
func docx(tb testing.TB, body string, more parts) []byte {
	tb.Helper()
	all := parts{
		"[Content_Types].xml": `<Types/>`, "_rels/.rels": relations("r1 officeDocument word/document.xml"),
		"word/document.xml": `<w:document xmlns:w="w" xmlns:r="r" xmlns:mc="mc" xmlns:a="a" xmlns:wp="wp"><w:body>` + body + `</w:body></w:document>`,
	}
	maps.Copy(all, more)
	return pack(tb, all)
}

// xlsx makes a workbook of one sheet, and further parts.
func xlsx(tb testing.TB, rows string, more parts) []byte {
	tb.Helper()
	all := parts{
		"[Content_Types].xml": `<Types/>`, "_rels/.rels": relations("r1 officeDocument xl/workbook.xml"),
		"xl/workbook.xml":            `<workbook xmlns:r="r"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": relations("r1 worksheet worksheets/sheet1.xml", "r2 sharedStrings sharedStrings.xml", "r3 styles styles.xml"),
		"xl/worksheets/sheet1.xml":   `<worksheet><sheetData>` + rows + `</sheetData></worksheet>`,
	}
	maps.Copy(all, more)
	return pack(tb, all)
}

// odf makes an OpenDocument.
func odf(tb testing.TB, kind, body string) []byte {
	tb.Helper()
	return pack(tb, parts{
		"mimetype":    "application/vnd.oasis.opendocument." + kind,
		"content.xml": `<o:c xmlns:o="o" xmlns:text="t" xmlns:table="b" xmlns:draw="d" xmlns:office="of" xmlns:presentation="p">` + body + `</o:c>`,
	})
}

// readBytes reads a document.
func readBytes(ctx context.Context, name string, data []byte, limit int) (Document, error) {
	return New().Read(ctx, name, bytes.NewReader(data), int64(len(data)), limit)
}
