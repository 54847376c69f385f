package pdf

import (
	"math"
	"strings"
	"unicode/utf16"

	library "github.com/ledongthuc/pdf"
)

// font says what the codes of a shown string mean and how wide their glyphs are.
type font struct {
	size  int               // bytes of a code
	text  map[uint32]string // what the document says that a code means
	table encoding          // and what follows from its encoding, for codes of one byte
	utf16 bool              // codes are UTF-16
	// widths are those of glyphs, in units of the font's size; width is that of
	// all others.
	widths map[uint32]float64
	width  float64
}

// plainFont stands in for a font that is not there.
func plainFont() *font { return &font{size: 1, width: 0.5, table: encodingOf("")} }

// glyph returns what a code means, "" if nobody knows, and its width.
func (f *font) glyph(code uint32) (text string, width float64) {
	width, ok := f.widths[code]
	if !ok {
		width = f.width
	}
	text, ok = f.text[code]
	switch {
	case ok:
	case f.utf16:
		text = string(utf16.Decode([]uint16{uint16(code & 0xffff)}))
	case f.size == 1:
		text = f.table[code&0xff]
	}
	return text, width
}

// loadFont reads a font. What of it is broken is left out.
func (d *document) loadFont(v library.Value) *font {
	f := plainFont()
	_ = attempt(func() error {
		if stream := v.Key("ToUnicode"); stream.Kind() == library.Stream {
			m := readCMap(d.budget(stream.Reader()))
			f.text = m.text
			if v.Key("Subtype").Name() == "Type0" && !m.oneByte {
				f.size = 2
			}
		}
		return nil
	})
	_ = attempt(func() error {
		if v.Key("Subtype").Name() == "Type0" {
			f.loadComposite(v)
		} else {
			d.loadSimple(f, v)
		}
		return nil
	})
	return f
}

// loadComposite reads a font whose codes are of two bytes, as a rule.
func (f *font) loadComposite(v library.Value) {
	if f.text == nil {
		f.size = 2
	}
	codes := v.Key("Encoding").Name()
	f.utf16 = strings.Contains(codes, "UCS2") || strings.Contains(codes, "UTF16")
	f.width, f.widths = 1, map[uint32]float64{}
	descendant := v.Key("DescendantFonts").Index(0)
	if dw := descendant.Key("DW"); !dw.IsNull() {
		f.width = dw.Float64() / 1000
	}
	// A list of "first [width width …]" and "first last width".
	w, left := descendant.Key("W"), int64(maxCodes)
	for i := 0; i+1 < w.Len() && left > 0; {
		first, list := w.Index(i).Int64(), w.Index(i+1)
		if list.Kind() == library.Array {
			n := min(int64(list.Len()), left)
			for j := range n {
				f.widths[uint32(first+j)] = list.Index(int(j)).Float64() / 1000 //nolint:gosec // a code that is none is never asked for
			}
			left, i = left-n-1, i+2
			continue
		}
		n, width := min(list.Int64()-first+1, left), w.Index(i+2).Float64()/1000
		for j := range n {
			f.widths[uint32(first+j)] = width //nolint:gosec // as above
		}
		left, i = left-max(n, 0)-1, i+3
	}
}

// loadSimple reads a font whose codes are bytes.
func (d *document) loadSimple(f *font, v library.Value) {
	unit := 0.001
	if v.Key("Subtype").Name() == "Type3" {
		unit = math.Abs(v.Key("FontMatrix").Index(0).Float64())
	}
	if widths := v.Key("Widths"); widths.Kind() == library.Array {
		f.width = v.Key("FontDescriptor").Key("MissingWidth").Float64() * unit
		f.widths = make(map[uint32]float64, 256)
		first := v.Key("FirstChar").Int64()
		for i := range min(widths.Len(), 256) {
			f.widths[uint32(first+int64(i))] = widths.Index(i).Float64() * unit //nolint:gosec // a code that is none is never asked for
		}
	}
	f.table = d.encodingIn(v)
}
