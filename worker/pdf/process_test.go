package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// newReader starts the test binary for each document.
func newReader(timeout time.Duration) *Reader {
	return New(Options{Sandbox: box, Exe: os.Args[0], Timeout: timeout})
}

func TestDocumentsAreReadInAProcess(t *testing.T) {
	t.Parallel()
	whole := onePage(shown("(Hello)"), helvetica)
	long := onePage(strings.Repeat(shown("(Hello)"), 10_000), helvetica)
	r := newReader(time.Minute)
	tests := []struct {
		name  string
		file  []byte
		limit int
		want  string
		err   error
	}{
		{"text", whole.file(), 1000, "Hello", nil},
		{"limit", whole.file(), 4, "Hell", nil},
		{"more than a pipe holds", long.file(), 120_000, strings.Repeat("Hello\n\n", 20_000)[:69_998], nil},
		{"no text", onePage("", "").file(), 1000, "", nil},
		{"damaged", []byte("%PDF-1.7\n\x00"), 1000, "", ErrDamaged},
		{"encrypted", whole.fileWith("/Encrypt <</Filter /Standard /V 5>>"), 1000, "", ErrEncrypted},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := r.Text(t.Context(), test.file, test.limit)
			if got != test.want || !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("got %.100q, %v, want %.100q, %v", got, err, test.want, test.err)
			}
		})
	}
}

// packedCatalogue is a document with its catalogue in a stream of objects.
func packedCatalogue(entries, data string) []byte {
	return onePage(shown("(Hello)"), helvetica).with(5, deflated("/Type /ObjStm "+entries, data)).packed(5, 1)
}

// hostile are documents that the library does not survive, or does not get to the
// end of.
func hostile() map[string][]byte {
	whole := onePage(shown("(Hello)"), helvetica)
	table := func(entries string) []byte { return whole.packedWith(entries, 0) }
	file := whole.file()
	return map[string][]byte{
		"endless: a string without an end":        packedCatalogue("/N 1 /First 4", "1 0 <41"),
		"endless: objects that are not there":     packedCatalogue("/N 1000000000000000000 /First 4", "9 0 "),
		"endless: a table that continues itself":  bytes.Replace(file, []byte("/Root"), fmt.Appendf(nil, "/Prev %d /Root", bytes.LastIndex(file, []byte("xref\n0"))), 1),
		"memory: a table with a large size":       table("/W [1 4 2] /Size 1000000000"),
		"memory: a table with a far entry":        table("/W [1 4 2] /Size 10 /Index [4000000000 1]"),
		"memory: a table with entries of nothing": table("/W [0 0 0] /Size 10 /Index [0 1000000000000000000]"),
		"memory: long lines":                      whole.with(4, stream("/Filter /FlateDecode /DecodeParms <</Predictor 12 /Columns 100000000000>>", deflate("x"))).file(),
		"memory: a long string":                   whole.with(5, bomb("/Type /ObjStm /N 1 /First 4", "1 0 (", 1000, 'a')).packed(5, 1),
		"stack: a length in the stream itself":    whole.with(5, "<</Type /ObjStm /N 1 /First 4 /Length 1 0 R>>\nstream\n1 0 99\nendstream").packed(5, 1),
	}
}

func TestHostileDocumentsEnd(t *testing.T) {
	t.Parallel()
	for name, file := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute // the process dies by itself
			if strings.HasPrefix(name, "endless") {
				timeout = time.Second
			}
			if got, err := newReader(timeout).Text(t.Context(), file, 1000); !errors.Is(err, ErrCostly) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestReadingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	endless := packedCatalogue("/N 1 /First 4", "1 0 <41")
	r := newReader(time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error)
	const readers = maxAtOnce + 1 // one waits all the time
	for range readers {
		go func() {
			_, err := r.Text(ctx, endless, 1000)
			ended <- err
		}()
	}
	for range readers {
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	}
	if got, err := r.Text(t.Context(), onePage(shown("(next)"), "").file(), 1000); got != "next" || err != nil {
		t.Errorf("then got %q, %v", got, err)
	}
}

func TestAProcessThatDoesNotStart(t *testing.T) {
	t.Parallel()
	r := New(Options{Sandbox: box, Exe: "/no/such/hermes"})
	if _, err := r.Text(t.Context(), onePage("", "").file(), 1000); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// FuzzText reads what may be a document the way a worker does. It is slow, with a
// process for each, and sees nothing of what that covers, so give it whole
// documents and -fuzzminimizetime 1x; FuzzContent is the fast one.
func FuzzText(f *testing.F) {
	whole := onePage(shown("(Hello)"), helvetica)
	for _, seed := range [][]byte{
		nil, []byte("%PDF-1.7\nstartxref"), whole.file(), whole.with(4, deflated("", shown("(two)"))).packed(0),
		identity("<0001>", "1 beginbfchar <0001> <0041> endbfchar").file(), whole.fileWith("/Encrypt <<>>"),
		whole.with(5, deflated("/Type /ObjStm /N 1 /First 4", "1 0 <</Pages 2 0 R>>")).packed(5, 1),
	} {
		f.Add(seed)
	}
	r := newReader(2 * time.Second)
	f.Fuzz(func(t *testing.T, file []byte) {
		const limit = 1 << 10
		text, err := r.Text(t.Context(), file, limit)
		if len(text) > limit || err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrEncrypted) && !errors.Is(err, ErrCostly) {
			t.Errorf("got %d bytes, %v", len(text), err)
		}
	})
}
