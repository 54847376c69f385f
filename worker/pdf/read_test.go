package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	library "github.com/ledongthuc/pdf"
)

const helvetica = "/Font <</F <</Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding>>>>"

// font is the resources of a page whose font F is object 5.
const fontF = "/Font <</F 5 0 R>>"

// identity is a document that shows codes of two bytes, whose meaning toUnicode
// says.
func identity(codes, toUnicode string) objects {
	return onePage(shown(codes), fontF).
		with(5, "<</Type /Font /Subtype /Type0 /Encoding /Identity-H /DescendantFonts [<</DW 500 /W [1 [600 600] 3 9 700]>>] /ToUnicode 6 0 R>>").
		with(6, deflated("", toUnicode))
}

func TestTextIsRead(t *testing.T) {
	t.Parallel()
	pages := objects{
		1: "<</Type /Catalog /Pages 2 0 R>>",
		2: "<</Type /Pages /Kids [3 0 R 6 0 R] /Count 3 /Resources <<" + helvetica + ">>>>",
		3: "<</Type /Page /Parent 2 0 R /Contents 4 0 R>>",
		4: stream("", shown("(one)")),
		5: deflated("", shown("(two)")),
		6: "<</Type /Pages /Parent 2 0 R /Kids [7 0 R 8 0 R] /Count 2>>",
		7: "<</Type /Page /Parent 6 0 R /Contents [5 0 R]>>",
		8: "<</Type /Page /Parent 6 0 R /Contents [9 0 R 10 0 R]>>",
		9: stream("", "BT 72 700 Td [(th)"), 10: stream("", "(ree)] TJ ET"),
	}
	form := func(entries string) objects {
		return onePage("q 2 0 0 2 0 0 cm /X Do Q", "/XObject <</X 5 0 R>>").
			with(5, stream("/Type /XObject /Subtype /Form /Resources <<"+helvetica+">> "+entries, shown("(inside)")))
	}
	program := "%!PS\n/Encoding 256 array\ndup 58 /period put\ndup 12 /fi put\nreadonly def\ncurrentfile eexec\n\xfe)>(\x00"
	tests := []struct {
		name string
		file []byte
		want string
	}{
		{"one page", onePage(shown("(Hello)"), helvetica).file(), "Hello"},
		{"compressed", onePage("", helvetica).with(4, deflated("", shown("(Hello)"))).file(), "Hello"},
		{"pages in a tree", pages.file(), "one\n\ntwo\n\nthree"},
		{"no font", onePage("(Hello) Tj", "").file(), "Hello"},
		{"a scan", onePage("q 600 0 0 800 0 0 cm /Im0 Do Q", "/XObject <</Im0 <</Subtype /Image>>>>").file(), ""},
		{"an empty page", onePage("", "").with(3, "<</Type /Page>>").file(), ""},

		{"Windows", onePage(shown(`(f\374r 5 \200 \226 \223x\224)`), helvetica).file(), "für 5 € – “x”"},
		{"Macintosh", onePage(shown(`(f\237r \333)`), strings.Replace(helvetica, "WinAnsi", "MacRoman", 1)).file(), "für €"},
		{"standard", onePage(shown(`(don't \256 \341)`), strings.Replace(helvetica, "WinAnsi", "Standard", 1)).file(), "don’t fi Æ"},
		{"names of glyphs", onePage(shown(`(\001\002\003\004\005A)`), fontF).with(5,
			"<</Subtype /Type1 /Encoding <</Differences [1 /Euro /f_f_i /uni20AC /a.alt /nobody]>>>>").file(), "€ffi€aA"},
		{"the font's program", onePage(shown(`(5:5 \014)`), fontF).
			with(5, "<</Subtype /Type1 /FontDescriptor <</FontFile 6 0 R>>>>").with(6, deflated("", program)).file(), "5.5 fi"},
		{"what codes mean", identity("<00010002 0003>", "2 beginbfchar <0001> <0047> <0002> <00fc> endbfchar 1 beginbfrange <0003> <0005> <0061> endbfrange").file(), "Güa"},
		{"ranges", identity("<000100020003000400050006>", "2 beginbfrange <0001> <0003> <0041> <0004> <0005> [<d83dde00> <00660066>] endbfrange 1 beginbfchar <0006> <43> endbfchar").file(), "ABC😀ffC"},
		{"no meaning", identity("<00010002>", "").file(), ""},
		{"meaning for one byte", onePage(shown("(ab)"), fontF).with(5, "<</Subtype /TrueType /ToUnicode 6 0 R>>").
			with(6, stream("", "1 begincodespacerange <00> <ff> endcodespacerange 1 beginbfchar <61> <0078> endbfchar")).file(), "xb"},
		{"Unicode for codes", onePage(shown("<0047 65e5>"), fontF).with(5, "<</Subtype /Type0 /Encoding /UniJIS-UTF16-H>>").file(), "G日"},
		{"ligatures", identity("<0001>", "1 beginbfchar <0001> <fb03> endbfchar").file(), "ffi"},

		{"strings", onePage(shown(`(a\(b\)(c)\
\n\053\5 d\e)`, "<4 1 4>", "(x)% comment (no)\n"), helvetica).file(), "a(b)(c)+ de\nA@\nx"},
		{"words by moves", onePage("BT /F 12 Tf 1 0 0 1 72 700 Tm [(Th)20(e)-300(w)-50(ord)] TJ ET", helvetica).file(), "The word"},
		{"words by spacing", onePage("BT /F 12 Tf 5 Tc (ab) Tj 0 Tc (c) Tj ET", helvetica).file(), "a b c"},
		{"lines by quotes", onePage("BT /F 12 Tf 14 TL (a) Tj (b) ' 1 2 (c) \" ET", helvetica).file(), "a\nb\nc"},
		{"lines by matrix", onePage("BT /F 1 Tf 12 0 0 12 72 700 Tm (a) Tj 12 0 0 12 72 686 Tm (b) Tj 0 -3 TD (c) Tj T* (d) Tj ET", helvetica).file(), "a\nb\n\nc\n\nd"},
		{"columns", onePage("BT /F 12 Tf (a) Tj 90 0 Td (b) Tj -90 -14 Td (c) Tj 90 0 Td (d) Tj ET", helvetica).file(), "a\tb\nc\td"},
		{"text upside down", onePage("1 0 0 -1 0 800 cm BT /F 12 Tf (a) Tj 0 14 Td (b) Tj ET", helvetica).file(), "a\nb"},
		{"up the page", onePage("BT /F 12 Tf 0 1 -1 0 72 72 Tm (a) Tj 15 0 Td (b) Tj ET", helvetica).file(), "a b"},
		{"pen put aside", onePage("q BT /F 12 Tf (a) Tj ET Q /GS gs Q BT /F 12 Tf 1 0 0 1 7 0 Tm (b) Tj ET", helvetica).file(), "ab"},
		{"an image in the content", onePage("BT (a) Tj ET BI /W 1 /H 1 ID \x00(\xff EI <<Q EI BT 0 -20 Td (b) Tj ET", helvetica).file(), "a\n\nb"},

		{"a form", form("").file(), "inside"},
		{"a form with a matrix", form("/Matrix [1 0 0 1 9 9]").file(), "inside"},
		{"a form that holds itself", onePage("(x) Tj /X Do", "/XObject <</X 4 0 R>>").with(4, stream("/Subtype /Form", "BT (x) Tj ET /X Do")).file(), strings.Repeat("x", 9)},
		{"a field that is filled in", onePage("BT /F 12 Tf 72 700 Td (Name:) Tj ET", helvetica).
			with(3, "<</Type /Page /Contents 4 0 R /Annots [<</Subtype /Widget /Rect [99 700 200 712] /AP <</N 5 0 R>>>> <</AP <</N <<>>>>>>]>>").
			with(5, stream("/Subtype /Form", "BT (Alice) Tj ET")).file(), "Name:\nAlice"},

		{"packed", objects{
			2: "<</Type /Pages /Kids [3 0 R] /Count 1>>",
			4: deflated("", shown("(Hello)")),
			5: deflated("/Type /ObjStm /N 2 /First 9", "1 0 3 32 <</Type /Catalog /Pages 2 0 R>> <</Type /Page /Contents 4 0 R>>"),
		}.packed(5, 1, 3), "Hello"},
		{"PDF 2.0", bytes.Replace(onePage(shown("(Hello)"), "").file(), []byte("%PDF-1.7"), []byte("%PDF-2.0"), 1), "Hello"},
		{"junk around it", fmt.Appendf(nil, "\ufeff\r\n%s\r\n<html>\x00\x00%s", onePage(shown("(Hello)"), "").file(), strings.Repeat("\x00", 2000)), "Hello"},
		{"a blank behind the version", bytes.Replace(onePage(shown("(Hello)"), "").file(), []byte("%PDF-1.7\n1 0 obj\n"), []byte("%PDF-1.7 \n1 0 obj"), 1), "Hello"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := newDocument(1000).read(test.file)
			if err != nil || got != test.want {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
	}
}

func TestTextEndsAtTheLimit(t *testing.T) {
	t.Parallel()
	file := onePage(strings.Repeat(shown("<fcfcfc>"), 100), helvetica).file()
	for _, limit := range []int{0, 1, 7, 100} {
		if got, err := newDocument(limit).read(file); err != nil || len(got) != limit {
			t.Errorf("with a limit of %d: %d bytes, %v", limit, len(got), err)
		}
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	whole := onePage(shown("(Hello)"), helvetica)
	tests := []struct {
		name string
		file []byte
		want error
	}{
		{"nothing", nil, ErrDamaged},
		{"no PDF", []byte("hello, startxref 0"), ErrDamaged},
		{"pages that are not there", whole.with(2, "<</Type /Pages /Kids [77 0 R 78 0 R]>>").file(), ErrDamaged},
		{"a header only", []byte("%PDF-1.7\n"), ErrDamaged},
		{"truncated", whole.file()[:400], ErrDamaged},
		{"objects are elsewhere", bytes.Replace(whole.file(), []byte("1 0 obj"), []byte("%%%%%%%\n1 0 obj"), 1), ErrDamaged},
		{"the table is elsewhere", bytes.Replace(whole.file(), []byte("startxref\n"), []byte("startxref\n9"), 1), ErrDamaged},
		{"no catalogue", objects{1: "<<>>"}.file(), ErrDamaged},
		{"no pages", whole.with(2, "<</Type /Pages /Kids []>>").file(), ErrDamaged},
		{"pages in a circle", whole.with(2, "<</Type /Pages /Kids [3 0 R 2 0 R 2 0 R] /Count 1000000000>>").file(), ErrDamaged},
		{"endless pages", onePage("", "").with(2, "<</Type /Pages /Kids ["+strings.Repeat("3 0 R ", maxNodes+1)+"]>>").file(), ErrDamaged},
		{"a filter that nobody knows", whole.with(4, stream("/Filter /Secret", "x")).file(), ErrDamaged},
		{"broken compression", whole.with(4, stream("/Filter /FlateDecode", "no zlib")).file(), ErrDamaged},
		{"a deep object", whole.with(3, strings.Repeat("[", 1_000_000)).file(), ErrDamaged},
		{"encrypted with a password", whole.fileWith("/ID [(x) (x)] /Encrypt <</Filter /Standard /V 1 /R 2 /P 0 /O (" +
			strings.Repeat("o", 32) + ") /U (" + strings.Repeat("u", 32) + ")>>"), ErrEncrypted},
		{"encrypted with AES-256", whole.fileWith("/Encrypt <</Filter /Standard /V 5 /R 6 /Length 256>>"), ErrEncrypted},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got, err := newDocument(1000).read(test.file); !errors.Is(err, test.want) {
				t.Errorf("got %q, %v, want %v", got, err, test.want)
			}
		})
	}
}

func TestTooMuchContent(t *testing.T) {
	t.Parallel()
	d := newDocument(1000)
	d.left = 1 << 20
	file := onePage("", "").with(4, bomb("", shown("(Hello)"), 2, ' ')).file()
	if got, err := d.read(file); !errors.Is(err, ErrCostly) {
		t.Errorf("got %q, %v", got, err)
	}
	d = newDocument(1000)
	d.left = 1 << 20 // and this by calls
	file = onePage("/X Do", "/XObject <</X 4 0 R>>").with(4, stream("/Subtype /Form", "(x) Tj"+strings.Repeat(" /X Do", 9))).file()
	if got, err := d.read(file); !errors.Is(err, ErrCostly) {
		t.Errorf("got %q, %v", got, err)
	}
}

// What can be read of a damaged document is kept, and says what is missing.
func TestADamagedPageIsNamed(t *testing.T) {
	t.Parallel()
	cut := deflate(shown("(two)") + strings.Repeat(" ", 100_000))
	file := onePage(shown("(one)"), helvetica).
		with(2, "<</Type /Pages /Kids [9 0 R 3 0 R 5 0 R 7 0 R 99 0 R 10 0 R 3 0 R] /Count 7>>").
		with(5, "<</Type /Page /Contents 6 0 R>>").
		with(6, stream("/Filter /FlateDecode", cut[:len(cut)-8])).
		with(7, "<</Type /Page /Contents [4 0 R 8 0 R 4 0 R]>>").
		with(8, stream("/Filter /Secret", "x")).
		with(9, "<</Type /Page /Contents 8 0 R>>").
		with(10, "<</Type (").file()
	got, err := newDocument(1000).read(file)
	const note = "[page %d of the document is damaged and could not be read in full]"
	want := fmt.Sprintf(note+"\n\none\n\ntwo\n\n"+strings.Repeat(note+"\n\n", 4)+"one", 1, 3, 4, 5, 6)
	if err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzContent(f *testing.F) {
	for _, seed := range []string{
		shown("(a)", "<00>", `(\(\)\001)`), "BT [(a)-300 /n <</a [1]>> (b)] TJ ET", "q 1 0 0 1 0 0 cm Q T* Q ' \" Do Tf Tm",
		"BI /W 1 ID x EI (", "1 beginbfrange <00> <ffffffff> <00> <01> <02> [<03> endbfrange", "1.2.3 --4 +. nan 0x1 % c\r/#41#", "dup 58 /period put eexec",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		const limit = 1 << 10
		d := newDocument(limit)
		m := readCMap(strings.NewReader(content))
		d.plain = &font{size: 1 + len(content)%2, text: m.text, width: 1}
		d.programEncoding(&d.plain.table, strings.NewReader(content))
		err := attempt(func() error { return d.run(strings.NewReader(content), library.Value{}, move(0, 0), 0) })
		if err != nil && !errors.Is(err, errFull) {
			t.Fatalf("%q: %v", content, err)
		}
		if got := d.layout.text(); len(got) > limit || (len(got) == limit) != (err != nil) {
			t.Errorf("%q gives %d bytes, %v", content, len(got), err)
		}
	})
}
