package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"hermes/worker/web"
)

// newWebSet makes all tools, with a web that consists of one server: it is
// SearXNG at /search, and a site for pages. Its other paths are handler's.
func newWebSet(t *testing.T, handler http.HandlerFunc) (set *Set, dir, base string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	client, err := web.New(web.Options{
		Search: web.SearXNG, SearXNG: server.URL, AllowPrivate: []string{strings.TrimPrefix(server.URL, "http://")},
		PDF: func(context.Context, []byte, int) (string, error) { return "a PDF\n", nil },
		Document: func(_ context.Context, name string, data []byte, _ int) (string, bool, error) {
			return "text of " + name, string(data) == "a document", nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	dir = filepath.Join(t.TempDir(), "workspace")
	set, err = NewSet(kept(Options{Workspace: dir, Sandbox: box, Web: client}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set, dir, server.URL
}

func TestWebSearch(t *testing.T) {
	t.Parallel()
	set, _, _ := newWebSet(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("q") {
		case "ships":
			_, _ = io.WriteString(w, `{"results":[{"title":"Ships","url":"https://a.example/","content":"They float."},{"title":"No words","url":"https://b.example/"}]}`)
		case "many":
			_, _ = io.WriteString(w, `{"results":[{"title":"0","url":"https://a.example/"}`)
			for i := range 100 {
				_, _ = fmt.Fprintf(w, `,{"title":"T","url":"https://a.example/%d","content":"%s"}`, i, strings.Repeat("long ", 1000))
			}
			_, _ = io.WriteString(w, `]}`)
		case "nothing":
			_, _ = io.WriteString(w, `{"results":[]}`)
		case "binary":
			_, _ = w.Write([]byte{0, 1, 2, 0xff})
		default:
			http.Error(w, "slow down", http.StatusTooManyRequests)
		}
	})
	expect(t, call(t.Context(), t, set, "web_search", args{"query": " ships\n"}), false,
		"1. Ships\n   https://a.example/\n   They float.\n2. No words\n   https://b.example/\n")
	expect(t, call(t.Context(), t, set, "web_search", args{"query": "nothing"}), false, "searxng has no results for nothing")
	expect(t, call(t.Context(), t, set, "web_search", args{"query": "binary"}), true, "searxng: its answer was not understood.")
	expect(t, call(t.Context(), t, set, "web_search", args{"query": "often"}), true,
		"The search failed; whether there are results is not known. searxng: HTTP 429 Too Many Requests.")
	for limit, want := range map[any]int{nil: 5, "3": 3, -1: 1, 20: 20, 5000: 20} {
		result := call(t.Context(), t, set, "web_search", args{"query": "many", "limit": limit})
		if got := strings.Count(result.Text, "https://"); got != want || len(result.Text) > 500*want {
			t.Errorf("limit %v gave %d results in %d bytes, want %d", limit, got, len(result.Text), want)
		}
	}
}

func TestWebExtract(t *testing.T) {
	t.Parallel()
	picture := pictureOf(t, "gif", 3, 2)
	set, dir, base := newWebSet(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a":
			_, _ = io.WriteString(w, "<html><title>The A</title><p>Words of <b>A</b>.</p></html>")
		case "/moved":
			http.Redirect(w, r, "/a", http.StatusFound)
		case "/pdf":
			_, _ = io.WriteString(w, "%PDF-1.4")
		case "/binary":
			w.Header().Set("Content-Type", "image/png")
			_, _ = w.Write([]byte{0x89, 'P', 'N', 'G', 0})
		case "/image":
			_, _ = io.WriteString(w, picture)
		case "/docx":
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = io.WriteString(w, "a document")
		default:
			http.NotFound(w, r)
		}
	})
	a := fmt.Sprintf("[%s/a]\n# The A\n\nWords of **A**.\n", base)
	expect(t, call(t.Context(), t, set, "web_extract", args{"urls": []string{base + "/a"}}), false, a)
	expect(t, call(t.Context(), t, set, "web_extract", args{"urls": base + "/moved"}), false, a)
	expect(t, call(t.Context(), t, set, "web_extract", args{"urls": `["` + base + `/pdf"]`}), false, "a PDF\n")
	expect(t, call(t.Context(), t, set, "web_extract", args{"urls": []string{base + "/binary"}}), true, "/binary was not read: it is no text, but image/png (5 bytes)")
	expect(t, call(t.Context(), t, set, "web_extract", args{"urls": []string{base + "/docx"}}), false, fmt.Sprintf("[%s/docx]\ntext of docx\n", base))
	shown := call(t.Context(), t, set, "web_extract", args{"urls": []string{base + "/image", base + "/a"}})
	expect(t, shown, false, fmt.Sprintf("%s/image is an image: gif, 3 × 2 pixels, %d bytes. It follows.\n\n%s", base, len(picture), a))
	if len(shown.Images) != 1 || shown.Images[0].MIME != "image/gif" || string(shown.Images[0].Data) != picture {
		t.Errorf("%d images are shown", len(shown.Images))
	}
	// One that fails does not take the others along, and the order stays.
	urls := []string{base + "/none", base + "/a", "http://10.0.0.1/", "file:///etc/passwd", base + "/pdf"}
	want := fmt.Sprintf("%s/none was not read: HTTP 404 Not Found.\n\n%s\nhttp://10.0.0.1/ was not read: it leads to an address that is not public; only public addresses are fetched.\n\n"+
		"file:///etc/passwd was not read: only http and https addresses are fetched.\n\n[%s/pdf]\na PDF\n", base, a, base)
	if result := call(t.Context(), t, set, "web_extract", args{"urls": urls}); result.Failed || result.Text != want {
		t.Errorf("got\n%s\nwant\n%s", result.Text, want)
	}
	if result := call(t.Context(), t, set, "web_extract", args{"urls": urls[2:4]}); !result.Failed {
		t.Errorf("nothing was read, and it is no failure: %s", result.Text)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("short pages left %v in the workspace (%v)", entries, err)
	}
}

// Of a long page the beginning and the end are shown; all of it is in a file, and
// read_file goes on exactly where the beginning stopped.
func TestLongPages(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&lines, "line %d über\n", i)
	}
	set, dir, base := newWebSet(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/lines":
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, lines.String())
		case "/json":
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"all":[`+strings.Repeat(`{"a":1},`, 5000)+`0]}`)
		case "/one":
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = io.WriteString(w, strings.Repeat("ü", 40_000)+strings.Repeat(" word", 10_000))
		default:
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, r.URL.Path+"\n"+lines.String()[:30_000])
		}
	})
	next := regexp.MustCompile(`\[… (\d+) characters left out; all of it is in (\S+): read_file with offset (\d+) goes on from here …\]`)
	for _, path := range []string{"/lines", "/json", "/one"} {
		result := call(t.Context(), t, set, "web_extract", args{"urls": []string{base + path}, "char_limit": 4000})
		match := next.FindStringSubmatch(result.Text)
		if match == nil || result.Failed {
			t.Fatalf("%s: %s", path, result.Text)
		}
		if n := utf8.RuneCountInString(result.Text); n > 4500 || n < 2500 || !utf8.ValidString(result.Text) {
			t.Errorf("%s: %d characters", path, n)
		}
		whole := content(t, dir, match[2])
		head, tail, _ := strings.Cut(result.Text, match[0])
		_, head, _ = strings.Cut(head, "]\n")
		head, tail = strings.TrimSpace(head), strings.TrimSpace(tail)
		if !strings.HasPrefix(whole, head) || !strings.HasSuffix(strings.TrimSpace(whole), tail) {
			t.Errorf("%s: the beginning or the end is not that of the file", path)
		}
		for line := range strings.Lines(whole) {
			if len(line) > pageLine+1 {
				t.Errorf("%s: a line has %d bytes", path, len(line))
				break
			}
		}
		offset, err := strconv.Atoi(match[3])
		if err != nil {
			t.Fatal(err)
		}
		page := call(t.Context(), t, set, "read_file", args{"path": match[2], "offset": offset, "limit": 1})
		_, line, _ := strings.Cut(firstLine(page.Text), "|")
		if after := strings.TrimPrefix(whole, head+"\n"); line == "" || !strings.HasPrefix(after, line) {
			t.Errorf("%s: offset %d is %q, the text goes on with %q", path, offset, line, firstOf(after, 40))
		}
		found := call(t.Context(), t, set, "search_files", args{"pattern": "line 4000 ", "path": match[2]})
		if path == "/lines" {
			expect(t, found, false, "line 4000 über")
		}
	}
	// The pages do not show up in searches of the workspace or in its repository.
	expect(t, call(t.Context(), t, set, "search_files", args{"pattern": "line 4000"}), false, "Nothing found.")
	// The same page takes no second file, and old ones go.
	for i := range maxPages + 10 {
		if result := call(t.Context(), t, set, "web_extract", args{"urls": []string{fmt.Sprintf("%s/p%d", base, i%(maxPages+5))}, "char_limit": 1}); result.Failed {
			t.Fatal(result.Text)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, pagesDir))
	if err != nil || len(entries) != maxPages {
		t.Errorf("%d files are kept (%v), want %d", len(entries), err, maxPages)
	}
}

// A workspace in which the file cannot be kept still shows the page, and says so.
// No link leads the writing out of it.
func TestLongPageThatCannotBeKept(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	set, dir, base := newWebSet(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("some words\n", 5000))
	})
	if err := os.Symlink(outside, filepath.Join(dir, ".hermes")); err != nil {
		t.Fatal(err)
	}
	expect(t, call(t.Context(), t, set, "web_extract", args{"urls": []string{base}}), false, "the whole text could not be kept: ")
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 0 {
		t.Errorf("written outside of the workspace: %v (%v)", entries, err)
	}
}

func TestWebToolsEndWithTheirTurn(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 8)
	set, _, base := newWebSet(t, func(_ http.ResponseWriter, r *http.Request) {
		started <- struct{}{}
		<-r.Context().Done()
	})
	for tool, arguments := range map[string]string{
		"web_search":  `{"query":"x"}`,
		"web_extract": fmt.Sprintf(`{"urls":["%s/a","%[1]s/b"]}`, base),
	} {
		cause := errors.New("the client has gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { <-started; cancel(cause) }()
		if _, err := set.Run(ctx, toolCall(tool, arguments)); !errors.Is(err, cause) {
			t.Errorf("%s: %v", tool, err)
		}
		if _, err := set.Run(ctx, toolCall(tool, arguments)); !errors.Is(err, cause) {
			t.Errorf("%s, cancelled before: %v", tool, err)
		}
	}
}

func TestNoWeb(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	expect(t, call(t.Context(), t, set, "web_search", args{"query": "x"}), true, noWeb)
	expect(t, call(t.Context(), t, set, "web_extract", args{"urls": []string{"https://a.example"}}), true, noWeb)
}
