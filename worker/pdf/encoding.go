package pdf

import (
	_ "embed"
	"io"
	"strconv"
	"strings"

	library "github.com/ledongthuc/pdf"
)

// The upper halves of the encodings for fonts with codes of one byte. A blank is
// where an encoding has nothing. The library has such tables too, but with them
// comes a map of glyph names that every process would fill when it starts.
const (
	upperMac = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø" +
		"¿¡¬√ƒ≈∆«»… ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ"
	upperStandard = "                                 ¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ –†‡· ¶•‚„”»…‰ ¿ `´ˆ˜¯˘˙¨ ˚¸ ˝˛ˇ" +
		"—                Æ ª    ŁØŒº     æ   ı  łøœß    "
	upperWindows = "€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ"
)

// encoding says what codes of one byte mean.
type encoding [256]string

// encodingOf is the encoding of that name; Windows' one stands in for those that
// are in the font's own program.
func encodingOf(name string) encoding {
	var e encoding
	for b := range e {
		e[b] = string(rune(b))
	}
	e.put(upperWindows)
	switch name {
	case "MacRomanEncoding":
		e.put(upperMac)
	case "StandardEncoding":
		e['\''], e['`'] = "’", "‘"
		e.put(upperStandard)
	}
	return e
}

// put sets codes from 0x80 on.
func (e *encoding) put(upper string) {
	code := 0x80
	for _, r := range upper {
		if r != ' ' {
			e[code] = string(r)
		}
		code++
	}
}

// name gives a code what the name of its glyph stands for.
func (d *document) name(e *encoding, code int64, name string) {
	if d.glyphs == nil {
		d.glyphs = readGlyphs()
	}
	if text := d.glyphs.text(name); text != "" && code >= 0 && code < 256 {
		e[code] = text
	}
}

// encodingIn reads the encoding of a font.
func (d *document) encodingIn(font library.Value) encoding {
	v := font.Key("Encoding")
	if v.Kind() == library.Name {
		return encodingOf(v.Name())
	}
	base := v.Key("BaseEncoding").Name()
	if base == "" && v.Kind() == library.Dict {
		base = "StandardEncoding"
	}
	e := encodingOf(base)
	if program := font.Key("FontDescriptor").Key("FontFile"); base == "" && program.Kind() == library.Stream {
		d.programEncoding(&e, d.budget(program.Reader()))
	}
	// A list such as "12 fi fl 65 A": names for a code and those after it.
	differences := v.Key("Differences")
	code := int64(0)
	for i := range differences.Len() {
		item := differences.Index(i)
		if item.Kind() == library.Integer {
			code = item.Int64()
			continue
		}
		d.name(&e, code, item.Name())
		code++
	}
	return e
}

// programEncoding reads the encoding of a font's own program, as TeX's formulas
// have it: lines such as "dup 58 /period put" before a part that is encrypted.
func (d *document) programEncoding(e *encoding, program io.Reader) {
	lex := newLexer(program)
	for {
		op, args, err := lex.next()
		if err != nil || op == "eexec" {
			return
		}
		if glyph := last(args, 2); op == "put" && glyph[0].kind == kindNumber && glyph[1].kind == kindName {
			d.name(e, int64(glyph[0].num), glyph[1].text)
		}
	}
}

//go:embed glyphs.txt
var glyphList string

// glyphs are the characters that the names of glyphs stand for.
type glyphs map[string]string

func readGlyphs() glyphs {
	g := glyphs{}
	for line := range strings.Lines(glyphList) {
		name, codes, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "#" {
			g[name] = characters(strings.Fields(codes)...)
		}
	}
	return g
}

// text is what a name stands for, "" if that is not known. A name may have parts
// (f_f_i) and say how the glyph looks (a.alt), and it may be a number (uni20AC).
func (g glyphs) text(name string) string {
	name, _, _ = strings.Cut(name, ".")
	var all strings.Builder
	for part := range strings.SplitSeq(name, "_") {
		if text, known := g[part]; known {
			all.WriteString(text)
		} else if digits, ok := strings.CutPrefix(part, "uni"); ok && len(digits) >= 4 {
			all.WriteString(characters(digits[:4]))
		} else if digits, ok := strings.CutPrefix(part, "u"); ok && len(digits) >= 4 && len(digits) <= 6 {
			all.WriteString(characters(digits))
		}
	}
	return all.String()
}

// characters are those with these hexadecimal numbers.
func characters(numbers ...string) string {
	var text strings.Builder
	for _, number := range numbers {
		if n, err := strconv.ParseUint(number, 16, 21); err == nil {
			text.WriteRune(rune(n))
		}
	}
	return text.String()
}
