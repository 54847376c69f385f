package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding/charmap"
)

// Page is a page that was read.
type Page struct {
	// URL is where it was found, which redirects may have moved.
	URL   string
	Title string
	// Kind is html, text, pdf, document or image.
	Kind string
	// Image is what an image consists of, and ImageType its media type: one of those
	// that models take.
	Image     []byte
	ImageType string
	// Text is Markdown if the page was HTML, else the text as it was sent, valid
	// UTF-8 in any case.
	Text string
	// Note says what is missing in the text; it is empty if nothing is.
	Note string
}

// Read fetches a page and makes text of it. The error is a clause for the model,
// or the cause of ctx.
func (c *Client) Read(ctx context.Context, address string) (Page, error) {
	u, err := parse(address)
	if err != nil {
		return Page{}, err
	}
	if err := c.check(u); err != nil {
		return Page{}, explain(ctx, err)
	}
	limited, cancel := context.WithTimeoutCause(ctx, c.opts.timeout, errSlow)
	defer cancel()
	request, err := http.NewRequestWithContext(limited, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return Page{}, errHost
	}
	// Some sites have a Markdown form of their pages for those who ask.
	request.Header.Set("Accept", "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/plain;q=0.8, */*;q=0.5")
	request.Header.Set("Accept-Language", "en;q=0.5, *;q=0.3")
	a, err := c.do(c.pages, request, maxPage)
	if err != nil {
		return Page{}, err
	}
	if a.status != http.StatusOK && a.status != http.StatusNonAuthoritativeInfo {
		status := fmt.Errorf("HTTP %d %s", a.status, http.StatusText(a.status))
		if challenged(a.body) {
			return Page{}, fmt.Errorf("%w: the site wants a proof that a person asks", status)
		}
		return Page{}, status
	}
	page, err := c.page(limited, a)
	if ctx.Err() != nil {
		return Page{}, context.Cause(ctx)
	}
	return page, err
}

// page makes text of what a server sent.
func (c *Client) page(ctx context.Context, a answer) (Page, error) {
	page := Page{URL: a.url.String()}
	if a.cut {
		page.Note = fmt.Sprintf("only the first %d MiB of it were read", maxPage>>20)
	}
	kind := kindOf(a)
	switch {
	case len(bytes.TrimSpace(a.body)) == 0:
		return Page{}, errors.New("the page is empty")
	case kind == "application/pdf":
		return c.pdf(ctx, a, page)
	case kind == "text/html", kind == "application/xhtml+xml":
		page.Kind = "html"
		var note string
		page.Title, page.Text, note = markdown(utf8Of(a), a.url)
		page.Note = strings.TrimPrefix(page.Note+"; "+note, "; ")
		page.Note = strings.TrimSuffix(page.Note, "; ")
		if page.Text == "" {
			return Page{}, errors.New("the page has no text; it may be made by scripts, which are not run")
		}
		return page, nil
	}
	if text, found, err := c.document(ctx, a); found || err != nil {
		page.Kind, page.Text = "document", text
		return page, err
	}
	switch {
	case visible(kind) && !a.cut:
		page.Kind, page.Image, page.ImageType = "image", a.body, kind
		return page, nil
	case textual(kind):
		text := utf8Of(a)
		if strings.ContainsRune(text, 0) {
			break
		}
		page.Kind, page.Text = "text", text
		return page, nil
	}
	return Page{}, fmt.Errorf("it is no text, but %s (%d bytes); the terminal can fetch it as a file", kind, len(a.body))
}

// pdf reads a PDF document.
func (c *Client) pdf(ctx context.Context, a answer, page Page) (Page, error) {
	switch {
	case c.opts.PDF == nil:
		return Page{}, errors.New("it is a PDF, which is not read here")
	case a.cut:
		return Page{}, fmt.Errorf("it is a PDF of more than %d MiB, which is too large", maxPage>>20)
	}
	text, err := c.opts.PDF(ctx, a.body, maxPage)
	if err != nil {
		if ctx.Err() != nil {
			return Page{}, explain(ctx, err)
		}
		return Page{}, fmt.Errorf("it is a PDF that cannot be read: %s", clip(err.Error(), 200))
	}
	if strings.TrimSpace(text) == "" {
		return Page{}, errors.New("it is a PDF without text, perhaps scanned pages")
	}
	page.Kind, page.Text = "pdf", strings.ToValidUTF8(text, "\ufffd")
	return page, nil
}

// document reads an Office document or a notebook, if that is what it is.
func (c *Client) document(ctx context.Context, a answer) (text string, found bool, err error) {
	if c.opts.Document == nil || a.cut {
		return "", false, nil
	}
	text, found, err = c.opts.Document(ctx, path.Base(a.url.Path), a.body, maxPage)
	switch {
	case err != nil && ctx.Err() != nil:
		return "", false, explain(ctx, err)
	case err != nil:
		return "", false, fmt.Errorf("it %s", clip(err.Error(), 200))
	case found && strings.TrimSpace(text) == "":
		return "", false, errors.New("it is a document without text")
	}
	return text, found, nil
}

// visible reports whether models take images of a media type.
func visible(kind string) bool {
	return kind == "image/png" || kind == "image/jpeg" || kind == "image/gif" || kind == "image/webp"
}

// kindOf is the media type of an answer: what the server says, unless it says
// nothing or the content says otherwise.
func kindOf(a answer) string {
	kind, _, err := mime.ParseMediaType(a.kind)
	if err != nil {
		kind, _, _ = strings.Cut(a.kind, ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
	}
	if bytes.HasPrefix(bytes.TrimLeft(a.body[:min(len(a.body), 1024)], "\ufeff \t\r\n"), []byte("%PDF-")) {
		return "application/pdf"
	}
	sniffed, _, _ := strings.Cut(http.DetectContentType(a.body), ";")
	switch {
	case kind == "", kind == "application/octet-stream", kind == "binary/octet-stream", !strings.Contains(kind, "/"):
		return sniffed
	case textual(kind) && sniffed == "application/octet-stream" && wide(a) == "":
		return sniffed // it has control characters that no text has
	case kind == "application/pdf":
		return sniffed
	}
	return clip(kind, 80)
}

// textual reports whether a media type is one of texts.
func textual(kind string) bool {
	if strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml") && kind != "image/svg+xml" || strings.HasSuffix(kind, "+yaml") {
		return true
	}
	switch kind {
	case "application/json", "application/xml", "application/javascript", "application/ecmascript", "application/x-javascript",
		"application/yaml", "application/x-yaml", "application/toml", "application/x-sh", "application/sql", "application/x-ndjson",
		"application/jsonl", "application/graphql", "application/rtf", "application/x-tex", "application/x-python", "application/x-httpd-php",
		"application/typescript", "application/x-perl", "application/x-ruby", "application/x-subrip", "application/mbox", "application/manifest":
		return true
	}
	return false
}

// utf8Of is the text of an answer: in the encoding that a byte order mark, the
// header or a meta element names, else as UTF-8 if it is that, else as
// windows-1252, which is what browsers take a page for that says nothing.
func utf8Of(a answer) string {
	body := a.body
	encoding, name, certain := charset.DetermineEncoding(body[:min(len(body), 1024)], a.kind)
	if guessed := !certain && (name == "utf-8" || name == "windows-1252"); guessed {
		whole := body
		if a.cut {
			whole = trimRune(body)
		}
		name = "windows-1252"
		if utf8.Valid(whole) {
			name = "utf-8"
		}
		encoding = charmap.Windows1252
	}
	if name == "utf-8" {
		return strings.ToValidUTF8(string(bytes.TrimPrefix(body, []byte("\ufeff"))), "\ufffd")
	}
	decoded, err := encoding.NewDecoder().Bytes(body)
	if err != nil {
		return strings.ToValidUTF8(string(body), "\ufffd")
	}
	return strings.TrimPrefix(strings.ToValidUTF8(string(decoded), "\ufffd"), "\ufeff")
}

// wide is the name of the encoding if it is one of those with zero bytes in it.
func wide(a answer) string {
	_, name, _ := charset.DetermineEncoding(a.body[:min(len(a.body), 1024)], a.kind)
	if strings.HasPrefix(name, "utf-16") {
		return name
	}
	return ""
}

// trimRune takes off a rune that was cut at the end.
func trimRune(body []byte) []byte {
	for i := 1; i < utf8.UTFMax && i < len(body); i++ {
		if last := body[len(body)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return body[:len(body)-i]
			}
			break
		}
	}
	return body
}

// base is the address that relative links of a page start from.
func base(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }
