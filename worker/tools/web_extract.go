package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"hermes/worker/llm"
	"hermes/worker/web"
)

// The limits of web_extract.
const (
	maxURLs      = 5
	minPageRunes = 1000
	maxPageRunes = 50_000
)

// webExtract is the tool that reads web pages.
type webExtract struct {
	spec  llm.ToolSpec
	web   *web.Client // nil if there is none
	pages pageFiles
}

func newWebExtract(opts Options, w *workspace) *webExtract {
	return &webExtract{mustSpec("web_extract"), opts.Web, pageFiles{workspace: w}}
}

func (t *webExtract) Spec() llm.ToolSpec { return t.spec }

func (t *webExtract) Emoji() string { return "📄" }

func (t *webExtract) Concurrent() bool { return true }

// webExtractArguments are the arguments of web_extract.
type webExtractArguments struct {
	URLs      []string `json:"urls"`
	CharLimit int      `json:"char_limit"`
}

func (t *webExtract) Label(input json.RawMessage) string {
	arguments, err := decode[webExtractArguments](input)
	switch {
	case err != nil || len(arguments.URLs) == 0:
		return ""
	case len(arguments.URLs) > 1:
		return fmt.Sprintf("%s + %d more", firstOf(arguments.URLs[0], labelRunes-12), len(arguments.URLs)-1)
	default:
		return arguments.URLs[0]
	}
}

func (t *webExtract) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[webExtractArguments](input)
	if err != nil {
		return Result{}, err
	}
	switch {
	case len(arguments.URLs) == 0:
		return Failure("The list urls is empty."), nil
	case len(arguments.URLs) > maxURLs:
		return Failure(fmt.Sprintf("These are %d addresses; %d are read in one call at most.", len(arguments.URLs), maxURLs)), nil
	case t.web == nil:
		return Failure(noWeb), nil
	}
	limit := min(max(arguments.CharLimit, minPageRunes), maxPageRunes)
	results := make([]Result, len(arguments.URLs))
	var group sync.WaitGroup
	for i, url := range arguments.URLs {
		group.Go(func() { results[i] = t.read(ctx, url, limit) })
	}
	group.Wait()
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	all := Result{Failed: true}
	var texts []string
	for _, result := range results {
		texts = append(texts, result.Text)
		all.Failed = all.Failed && result.Failed
		all.Images = append(all.Images, result.Images...)
	}
	all.Text = strings.Join(texts, "\n")
	return all, nil
}

// read reads one page. It runs beside others, so a panic in it is nobody else's to
// catch.
func (t *webExtract) read(ctx context.Context, url string, limit int) (result Result) {
	shown := shortURL(url)
	defer func() {
		if recover() != nil {
			result = Failure(shown + " was not read: the page cannot be taken apart. This is a bug of the tool.\n")
		}
	}()
	page, err := t.web.Read(ctx, url)
	if err != nil {
		return Failure(fmt.Sprintf("%s was not read: %s.\n", shown, strings.TrimSuffix(err.Error(), ".")))
	}
	if page.Image != nil {
		return t.image(shown, page)
	}
	var head strings.Builder
	fmt.Fprintf(&head, "[%s]\n", shortURL(page.URL))
	if page.Title != "" {
		fmt.Fprintf(&head, "# %s\n\n", page.Title)
	}
	text := t.pages.shorten(ctx, page, limit)
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	head.WriteString(text)
	if page.Note != "" {
		fmt.Fprintf(&head, "[%s]\n", page.Note)
	}
	return Result{Text: head.String()}
}

// image shows an image.
func (t *webExtract) image(shown string, page web.Page) Result {
	size := int64(len(page.Image))
	found, ok := pictureIn(bytes.NewReader(page.Image), size)
	if !ok {
		return Failure(fmt.Sprintf("%s was not read: it is no text, but %s (%d bytes); the terminal can fetch it as a file.\n", shown, page.ImageType, size))
	}
	return found.show(shown, page.Image, size)
}

// shortURL is an address as it is shown: long ones are cut.
func shortURL(url string) string {
	const most = 300
	url = strings.Join(strings.Fields(valid([]byte(url[:min(len(url), 8*most)]))), " ")
	if short := firstOf(url, most); short != url {
		return short + "…"
	}
	return url
}
