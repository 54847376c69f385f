package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// event is an Event whose data is kept.
type event struct{ name, data string }

// readAll reads a stream to its end.
func readAll(r *Reader) ([]event, error) {
	var events []event
	for {
		ev, err := r.Next()
		if ev.Data != nil {
			events = append(events, event{ev.Name, string(ev.Data)})
		}
		if err != nil {
			return events, err
		}
	}
}

// reference decodes a whole stream in the plainest way that follows the
// standard, and takes the one liberty that Next takes at its end.
func reference(stream string) ([]event, error) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	stream = strings.ReplaceAll(stream, "\r\n", "\n")
	stream = strings.ReplaceAll(stream, "\r", "\n")
	lines := strings.Split(stream, "\n")
	var events []event
	var name string
	var data []string
	for i, line := range lines {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && i == len(lines)-1:
			// What stands behind the last line end is no line.
		case line == "":
			if data != nil {
				events = append(events, event{name, strings.Join(data, "\n")})
			}
			name, data = "", nil
		case field == "data":
			data = append(data, value)
		case field == "event":
			name = value
		}
	}
	if data != nil {
		return append(events, event{name, strings.Join(data, "\n")}), io.ErrUnexpectedEOF
	}
	return events, io.EOF
}

func TestNextReadsWhatTheStandardSays(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200_000)
	tests := []struct {
		name   string
		stream string
		want   []event
		err    error
	}{
		{"empty", "", nil, io.EOF},
		{"one event", "data: a\n\n", []event{{"", "a"}}, io.EOF},
		{"carriage returns", "data: a\r\rdata: b\r\r", []event{{"", "a"}, {"", "b"}}, io.EOF},
		{"both line ends", "data: a\r\n\r\ndata: b\r\n\r\n", []event{{"", "a"}, {"", "b"}}, io.EOF},
		{"mixed line ends", "data: a\r\n\ndata: b\n\r\n", []event{{"", "a"}, {"", "b"}}, io.EOF},
		{"byte order mark", "\ufeffdata: a\n\n", []event{{"", "a"}}, io.EOF},
		{"byte order mark later on", "data: a\n\n\ufeffdata: b\n\n", []event{{"", "a"}}, io.EOF},
		{"comments", ": hi\n:\n\ndata: a\n: between\ndata: b\n\n", []event{{"", "a\nb"}}, io.EOF},
		{"many lines", "data: a\ndata:\nid: 7\ndata:  c\n\n", []event{{"", "a\n\n c"}}, io.EOF},
		{"no space", "data:a\n\n", []event{{"", "a"}}, io.EOF},
		{"no colon", "data\nid\ndata\n\n", []event{{"", "\n"}}, io.EOF},
		{"empty data", "data:\n\n", []event{{"", ""}}, io.EOF},
		{"names", "event: e\ndata: 1\n\ndata: 2\n\nevent:e\ndata: 3\n\n", []event{{"e", "1"}, {"", "2"}, {"e", "3"}}, io.EOF},
		{"a name without data is forgotten", "event: e\n\ndata: 1\n\n", []event{{"", "1"}}, io.EOF},
		{"other fields", "id: 7\nretry: 10\ndatas: no\nevents: no\ndata: 1\n\n", []event{{"", "1"}}, io.EOF},
		{"a long line", "data: " + long + "\n\ndata: b\n\n", []event{{"", long}, {"", "b"}}, io.EOF},
		{"many long lines", "data: " + long + "\ndata: " + long + "\n\n", []event{{"", long + "\n" + long}}, io.EOF},
		{"the last empty line is missing", "data: a\n\ndata: [DONE]\n", []event{{"", "a"}, {"", "[DONE]"}}, io.ErrUnexpectedEOF},
		{"cut in a line", "data: a\n\ndata: {\"b", []event{{"", "a"}, {"", "{\"b"}}, io.ErrUnexpectedEOF},
		{"cut in a comment", "data: a\n\n: ke", []event{{"", "a"}}, io.EOF},
		{"one line without an end, with a mark", "\ufeffdata: a", []event{{"", "a"}}, io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sources := map[string]io.Reader{
				"whole":     strings.NewReader(tt.stream),
				"by byte":   iotest.OneByteReader(strings.NewReader(tt.stream)),
				"data+err":  iotest.DataErrReader(strings.NewReader(tt.stream)),
				"by halves": iotest.HalfReader(strings.NewReader(tt.stream)),
			}
			for how, src := range sources {
				r := NewReader(src)
				got, err := readAll(r)
				if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) {
					t.Errorf("%s: got %.200q, %v, want %.200q, %v", how, got, err, tt.want, tt.err)
				}
				if ev, again := r.Next(); ev.Data != nil || !errors.Is(again, err) {
					t.Errorf("%s: after %v, Next returns %q, %v", how, err, ev.Data, again)
				}
			}
		})
	}
}

func TestNextRefusesWhatIsTooLong(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		unit string // repeated without end
	}{
		{"one line", "x"},
		{"many lines of one event", "data: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := io.MultiReader(strings.NewReader("data: first\n\ndata: "), &endless{unit: tt.unit})
			r := NewReader(src)
			if ev, err := r.Next(); err != nil || string(ev.Data) != "first" {
				t.Fatalf("first event is %q, %v", ev.Data, err)
			}
			if _, err := r.Next(); !errors.Is(err, ErrTooLong) {
				t.Fatalf("error is %v, want ErrTooLong", err)
			}
		})
	}
	t.Run("just below the limit", func(t *testing.T) {
		t.Parallel()
		want := MaxEvent - 100
		r := NewReader(strings.NewReader("data: " + strings.Repeat("x", want) + "\n\n"))
		if ev, err := r.Next(); err != nil || len(ev.Data) != want {
			t.Fatalf("event has %d bytes, %v, want %d", len(ev.Data), err, want)
		}
	})
	t.Run("comments do not add up", func(t *testing.T) {
		t.Parallel()
		src := io.LimitReader(&endless{unit: ": comment inside an event\n"}, 10<<20)
		r := NewReader(io.MultiReader(strings.NewReader("data: a\n"), src, strings.NewReader("\n\ndata: b\n\n")))
		got, err := readAll(r)
		if want := []event{{"", "a"}, {"", "b"}}; !slices.Equal(got, want) || !errors.Is(err, io.EOF) {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	})
}

// endless repeats a text for ever.
type endless struct {
	unit string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.unit[e.at]
		e.at = (e.at + 1) % len(e.unit)
	}
	return len(p), nil
}

func TestNextPassesTheSourcesErrorOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	r := NewReader(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken)))
	got, err := readAll(r)
	if want := []event{{"", "a"}}; !slices.Equal(got, want) || !errors.Is(err, broken) {
		t.Fatalf("got %q, %v, want %q and the source's error", got, err, want)
	}
	if _, err := NewReader(stuck{}).Next(); !errors.Is(err, io.ErrNoProgress) {
		t.Fatalf("a source that never gives anything: %v, want io.ErrNoProgress", err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestBufferedSeesOnlyWholeEvents(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		rest string // what lies in the buffer behind the first event
		want bool
	}{
		{"nothing", "", false},
		{"a whole event", "data: b\n\n", true},
		{"an event that is not closed", "data: b\n", false},
		{"half a line", "data: b", false},
		{"only a comment", ": keep-alive\n\n", false},
		{"only a name", "event: e\n\n", false},
		{"a comment and an event", ": keep-alive\n\ndata: b\n\n", true},
		{"carriage returns", "data: b\r\r", true},
		{"carriage return, line feed", "data: b\r\n\r\n", true},
		{"a line feed that belongs to the line before", "data: b\r\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, first := range []string{"data: a\n\n", "data: a\r\r", "data: a\r\n\r\n"} {
				r := NewReader(strings.NewReader(first + tt.rest))
				if _, err := r.Next(); err != nil {
					t.Fatal(err)
				}
				if got := r.Buffered(); got != tt.want {
					t.Errorf("after %q: Buffered() = %v, want %v", first, got, tt.want)
				}
			}
		})
	}
}

func TestPeekTakesNothing(t *testing.T) {
	t.Parallel()
	stream := strings.Repeat(" \r\n", 20_000) + "data: a\n\ndata: b\n\n"
	for _, src := range []io.Reader{strings.NewReader(stream), iotest.OneByteReader(strings.NewReader(stream))} {
		r := NewReader(src)
		if got, err := r.Peek(); err != nil || len(got) == 0 || got[0] != 'd' {
			t.Fatalf("Peek() = %q, %v, want what begins with the first event", got, err)
		}
		got, err := readAll(r)
		if want := []event{{"", "a"}, {"", "b"}}; !slices.Equal(got, want) || !errors.Is(err, io.EOF) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if got, err := NewReader(strings.NewReader(" \n ")).Peek(); len(got) > 0 || !errors.Is(err, io.EOF) {
		t.Errorf("a stream of white space: Peek() = %q, %v, want io.EOF", got, err)
	}
}

func TestResetBeginsAnew(t *testing.T) {
	t.Parallel()
	r := NewReader(strings.NewReader("event: e\ndata: " + strings.Repeat("x", 300_000) + "\n\ndata: cut"))
	if _, err := readAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	r.Reset(strings.NewReader("\ufeffdata: a\n\n"))
	if len(r.buf) > keepBuffer {
		t.Errorf("Reset keeps %d bytes", len(r.buf))
	}
	got, err := readAll(r)
	if want := []event{{"", "a"}}; !slices.Equal(got, want) || !errors.Is(err, io.EOF) {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// TestSplittingChangesNothing cuts streams into reads of any size.
func TestSplittingChangesNothing(t *testing.T) {
	t.Parallel()
	line := rapid.SampledFrom([]string{
		"data: a", "data:b", "data", "data: ", "event: e", "event", ": c", ":", "id: 1", "\ufeff", "data: é\x00", "",
		"data: " + strings.Repeat("long ", 8000), "",
	})
	end := rapid.SampledFrom([]string{"\n", "\r", "\r\n"})
	rapid.Check(t, func(t *rapid.T) {
		var stream strings.Builder
		for range rapid.IntRange(0, 30).Draw(t, "lines") {
			stream.WriteString(line.Draw(t, "line"))
			stream.WriteString(end.Draw(t, "end"))
		}
		if rapid.Bool().Draw(t, "cut") {
			stream.WriteString(line.Draw(t, "last"))
		}
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 8), rapid.IntRange(1, 60_000)), 1, 10).Draw(t, "sizes")
		compare(t, stream.String(), &chunked{rest: []byte(stream.String()), sizes: sizes})
	})
}

// chunked hands out its bytes in pieces of the given sizes, over and over.
type chunked struct {
	rest  []byte
	sizes []int
}

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), c.sizes[0])], c.rest)
	c.rest = c.rest[n:]
	c.sizes = append(c.sizes[1:], c.sizes[0])
	return n, nil
}

// compare reads src, which yields stream, and holds the events against the
// reference. Whenever Buffered says that an event is there, the next read must
// not touch the source.
func compare(t interface{ Fatalf(string, ...any) }, stream string, src io.Reader) {
	want, wantErr := reference(stream)
	counting := &counter{src: src}
	r := NewReader(counting)
	var got []event
	for {
		buffered, reads := r.Buffered(), counting.reads
		ev, err := r.Next()
		if buffered && (err != nil || counting.reads != reads) {
			t.Fatalf("stream %.300q: Buffered said that an event is there, Next returned %v after %d reads", stream, err, counting.reads-reads)
		}
		if !buffered && err == nil && counting.reads == reads {
			t.Fatalf("stream %.300q: Buffered missed the event %q", stream, ev.Data)
		}
		if ev.Data != nil {
			got = append(got, event{ev.Name, string(ev.Data)})
		}
		if err == nil {
			continue
		}
		if !slices.Equal(got, want) || !errors.Is(err, wantErr) {
			t.Fatalf("stream %.300q\n got %.300q, %v\nwant %.300q, %v", stream, got, err, want, wantErr)
		}
		return
	}
}

type counter struct {
	src   io.Reader
	reads int
}

func (c *counter) Read(p []byte) (int, error) {
	c.reads++
	return c.src.Read(p)
}

func FuzzReader(f *testing.F) {
	for _, seed := range []string{
		"data: a\n\n", "\ufeffdata: a\r\n\r\n", "event: x\ndata: a\ndata: b\r\rdata", ": c\n\n\n\ndata:\n\n", "\n\r\ndata: x\n", "\r", "a\n",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		compare(t, string(stream), &chunked{rest: bytes.Clone(stream), sizes: []int{int(size) + 1}})
	})
}

func BenchmarkNext(b *testing.B) {
	chunk := fmt.Sprintf("data: {%s}\n\n", strings.Repeat(`"key":"value",`, 23))
	stream := []byte(strings.Repeat(chunk, 1000))
	src := bytes.NewReader(nil)
	r := NewReader(src)
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n == 0 {
			src.Reset(stream)
			r.Reset(src)
			n = 1000
		}
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
		r.Buffered()
		n--
	}
}
