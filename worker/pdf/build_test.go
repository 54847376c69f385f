package pdf

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// objects are those of a document, by number. 1 is the catalogue, 2 the root of
// the pages.
type objects map[int]string

// onePage is a document of one page, object 3, with this content and these
// resources.
func onePage(content, resources string) objects {
	return objects{
		1: "<</Type /Catalog /Pages 2 0 R>>",
		2: "<</Type /Pages /Kids [3 0 R] /Count 1>>",
		3: "<</Type /Page /Parent 2 0 R /Contents 4 0 R /Resources <<" + resources + ">>>>",
		4: stream("", content),
	}
}

// with adds an object to a copy.
func (o objects) with(number int, object string) objects {
	o = maps.Clone(o)
	o[number] = object
	return o
}

// file writes a document with a table of objects, as PDF had it from the start.
func (o objects) file() []byte { return o.fileWith("") }

// fileWith adds entries to the trailer.
func (o objects) fileWith(trailer string) []byte {
	out, places := o.body()
	size := slices.Max(slices.Collect(maps.Keys(o))) + 1
	begin := out.Len()
	fmt.Fprintf(out, "xref\n0 %d\n", size)
	for number := range size {
		if place, there := places[number]; there {
			fmt.Fprintf(out, "%010d 00000 n \n", place)
		} else {
			fmt.Fprintf(out, "0000000000 65535 f \n")
		}
	}
	fmt.Fprintf(out, "trailer\n<</Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n", size, trailer, begin)
	return out.Bytes()
}

// packed writes a document whose table is a stream, as PDF has it since 1.5, with
// the objects in the given ones being in the stream of objects with number holder.
func (o objects) packed(holder int, inside ...int) []byte {
	return o.packedWith("/W [1 4 2]", holder, inside...)
}

// packedWith takes what the table says of itself; its size may be there.
func (o objects) packedWith(table string, holder int, inside ...int) []byte {
	out, places := o.body()
	own := slices.Max(append(slices.Collect(maps.Keys(o)), inside...)) + 1
	begin := out.Len()
	var rows []byte
	for number := range own + 1 {
		place, there := places[number]
		if number == own {
			place, there = begin, true
		}
		switch i := slices.Index(inside, number); {
		case i >= 0:
			rows = append(rows, 2, 0, 0, 0, byte(holder), 0, byte(i))
		case there:
			rows = append(rows, 1, byte(place>>24), byte(place>>16), byte(place>>8), byte(place), 0, 0)
		default:
			rows = append(rows, 0, 0, 0, 0, 0, 0, 0)
		}
	}
	if !strings.Contains(table, "/Size") {
		table += fmt.Sprintf(" /Size %d", own+1)
	}
	fmt.Fprintf(out, "%d 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n", own, stream("/Type /XRef /Root 1 0 R "+table, string(rows)), begin)
	return out.Bytes()
}

// body writes the objects and tells where they are.
func (o objects) body() (out *bytes.Buffer, places map[int]int) {
	out, places = bytes.NewBufferString("%PDF-1.7\n"), map[int]int{}
	for _, number := range slices.Sorted(maps.Keys(o)) {
		places[number] = out.Len()
		fmt.Fprintf(out, "%d 0 obj\n%s\nendobj\n", number, o[number])
	}
	return out, places
}

// stream is a stream with these entries beside its length.
func stream(entries, data string) string {
	return fmt.Sprintf("<<%s /Length %d>>\nstream\n%s\nendstream", entries, len(data), data)
}

// deflated is a stream that is compressed.
func deflated(entries, data string) string {
	return stream(entries+" /Filter /FlateDecode", deflate(data))
}

func deflate(data string) string {
	var out bytes.Buffer
	w := zlib.NewWriter(&out)
	_, _ = io.WriteString(w, data) // to memory
	_ = w.Close()
	return out.String()
}

// bomb is a compressed stream that unfolds to data and then many MiB of a byte.
// It has no right end, which nobody should get to.
func bomb(entries, data string, many int, char byte) string {
	block := func(data []byte) string {
		var out bytes.Buffer
		w, _ := flate.NewWriter(&out, flate.BestCompression) // the level is right
		_, _ = w.Write(data)                                 // to memory
		_ = w.Flush()                                        // so that another block can follow
		return out.String()
	}
	return stream(entries+" /Filter /FlateDecode", "\x78\x9c"+block([]byte(data))+strings.Repeat(block(bytes.Repeat([]byte{char}, 1<<20)), many))
}

// shown is content that shows lines.
func shown(lines ...string) string {
	var out strings.Builder
	out.WriteString("BT /F 12 Tf 14 TL 72 700 Td\n")
	for _, line := range lines {
		fmt.Fprintf(&out, "%s Tj T*\n", line)
	}
	out.WriteString("ET")
	return out.String()
}
