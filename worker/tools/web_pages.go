package tools

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"hermes/worker/web"
)

// pagesDir is where the full texts of long pages are kept in the workspace.
const pagesDir = ".hermes/web"

const (
	// maxPages is how many of them are kept; the oldest go first.
	maxPages = 100
	// pageLine is where long lines are broken, in bytes, so that read_file, which
	// cuts lines, can show all of them.
	pageLine = 1000
)

// pageFiles keeps what is too long for a model as files, and shows the beginning and
// the end. Nothing is summed up by another model: that costs, and loses without
// saying what.
type pageFiles struct{ workspace *workspace }

// shorten is the text of the page in so many characters at most, beside the note
// about what is left out.
func (s pageFiles) shorten(ctx context.Context, page web.Page, limit int) string {
	if len(page.Text) <= limit || utf8.RuneCountInString(page.Text) <= limit {
		return page.Text
	}
	text := foldLines(page.Text)
	name, err := s.keep(ctx, page.URL, text)
	head := text[:lineEnd(text, len(firstOf(text, limit*7/10)))]
	tail := lastOf(text[len(head):], limit*3/10)
	left := utf8.RuneCountInString(text) - utf8.RuneCountInString(head) - utf8.RuneCountInString(tail)
	where := fmt.Sprintf("all of it is in %s: read_file with offset %d goes on from here", name, countLines(head)+1)
	if err != nil {
		where = fmt.Sprintf("the whole text could not be kept: %s", strings.TrimSuffix(s.workspace.explain(name, err), "."))
	}
	return fmt.Sprintf("%s\n[… %d characters left out; %s …]\n\n%s", strings.TrimRight(head, "\n"), left, where, strings.TrimLeft(tail, "\n"))
}

// keep writes the text to a file whose name the address decides, so that a page
// that is read again takes no second one.
func (s pageFiles) keep(ctx context.Context, address, text string) (name string, err error) {
	sum := sha256.Sum256([]byte(address))
	host := "page"
	if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
		host = strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
				return r
			}
			return '-'
		}, firstOf(strings.ToLower(u.Hostname()), 60))
	}
	name = filepath.Join(filepath.FromSlash(pagesDir), host+"-"+hex.EncodeToString(sum[:4])+".md")
	if err := s.ignore(ctx); err != nil {
		return name, err
	}
	before, problem := s.workspace.writable(name)
	if problem != "" {
		return name, errors.New(problem)
	}
	_, err = s.workspace.apply(ctx, []change{{path: name, content: []byte(text), before: before, like: before}})
	if errors.Is(err, errMoved) {
		err = nil // another call has just written the same page
	}
	s.prune(name)
	return name, err
}

// ignore keeps the files out of version control and out of searches of the whole
// workspace.
func (s pageFiles) ignore(ctx context.Context) error {
	name := filepath.Join(filepath.Dir(filepath.FromSlash(pagesDir)), ".gitignore")
	if _, err := s.workspace.root.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err := s.workspace.apply(ctx, []change{{path: name, content: []byte("*\n")}})
	if errors.Is(err, errMoved) {
		err = nil // another call was faster
	}
	return err
}

// prune removes the oldest files.
func (s pageFiles) prune(keep string) {
	entries, err := s.workspace.list(filepath.FromSlash(pagesDir), maxEntries)
	if err != nil || len(entries) <= maxPages {
		return
	}
	type file struct {
		name string
		info fs.FileInfo
	}
	var files []file
	for _, entry := range entries {
		name := filepath.Join(filepath.FromSlash(pagesDir), entry.Name())
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && strings.HasSuffix(name, ".md") && name != keep {
			files = append(files, file{name, info})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	for _, file := range files[min(len(files), maxPages-1):] {
		_ = s.workspace.root.Remove(file.name) // somebody else may have removed it
	}
}

// foldLines breaks long lines: JSON as JSON is written for people, other text at
// spaces.
func foldLines(text string) string {
	if start := strings.TrimLeft(text, " \t\r\n"); strings.HasPrefix(start, "{") || strings.HasPrefix(start, "[") {
		var out bytes.Buffer
		if json.Indent(&out, []byte(start), "", " ") == nil && out.Len() < 4*len(start)+1024 {
			text = out.String()
		}
	}
	var out strings.Builder
	out.Grow(len(text) + len(text)/64)
	for line := range strings.Lines(text) {
		for len(line) > pageLine {
			at := strings.LastIndexByte(line[:pageLine], ' ') + 1
			if at == 0 {
				for at = pageLine; at > 0 && !utf8.RuneStart(line[at]); at-- {
				}
			}
			if at == 0 {
				break
			}
			out.WriteString(strings.TrimSuffix(line[:at], " "))
			out.WriteByte('\n')
			line = line[at:]
		}
		out.WriteString(line)
	}
	return out.String()
}

// lineEnd is the end of the last line that ends at or before at, if it is not far
// before.
func lineEnd(text string, at int) int {
	if i := strings.LastIndexByte(text[:at], '\n'); i >= at-2*pageLine && i > 0 {
		return i + 1
	}
	return at
}

// lastOf returns the end of a text, n runes at most, from the beginning of a line
// if one is near.
func lastOf(text string, n int) string {
	at := len(text)
	for ; n > 0 && at > 0; n-- {
		_, size := utf8.DecodeLastRuneInString(text[:at])
		at -= size
	}
	if i := strings.IndexByte(text[at:], '\n'); at > 0 && i >= 0 && i <= 2*pageLine && at+i+1 < len(text) {
		at += i + 1
	}
	return text[at:]
}
