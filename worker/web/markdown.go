package web

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"unicode/utf8"

	"codeberg.org/readeck/go-readability/v2"
	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	basic "github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// What a page may be for its structure to be kept. Measured, the worst that fits
// takes about a second and 300 MB in all. What is larger is reduced to its text as it comes.
const (
	maxTags  = 60_000 // opening and closing ones
	maxHTML  = 4 << 20
	maxDepth = 150
	// maxNested is how deep quotes and lists may lie in each other; their cost is
	// that of their text times their depth, squared.
	maxNested = 12
)

// shortArticle is the length, in characters, below which an article is not trusted
// to be all that a page has to say.
const shortArticle = 300

// errPage stands for a page that the parsers do not take.
var errPage = errors.New("the page cannot be taken apart")

// markdown makes Markdown of a page: of its article if it has one, else of all of
// its body. The note says if it is only the bare text.
func markdown(page string, at *url.URL) (title, text, note string) {
	if len(page) <= maxHTML && strings.Count(page, "<") <= maxTags {
		if title, text, err := article(page, at); err == nil {
			return title, text, ""
		}
	}
	title, text = bare(page)
	return title, text, "the page is too large or too deep to keep its structure; this is its text alone"
}

// article parses a page. A panic of one of the parsers, which get to see whatever
// anybody may have written, is an error.
func article(page string, at *url.URL) (title, text string, err error) {
	defer func() {
		if recover() != nil {
			err = errPage
		}
	}()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return "", "", err
	}
	if !clean(doc, 0, 0) {
		return "", "", errPage
	}
	parser := readability.NewParser()
	parser.KeepClasses = true // they name the language of code
	parser.DisableJSONLD = true
	found, err := parser.ParseDocument(doc, at)
	if err == nil {
		title = clip(found.Title(), 300)
	}
	if err == nil && found.Node != nil {
		var plain bytes.Buffer
		if found.RenderText(&plain) == nil && utf8.RuneCount(plain.Bytes()) >= shortArticle {
			if text, err = convert(found.Node, at); err == nil && text != "" {
				return title, text, nil
			}
		}
	}
	text, err = convert(doc, at)
	return title, text, err
}

// convert writes a tree as Markdown.
func convert(node *html.Node, at *url.URL) (string, error) {
	// Escapes are for renderers. A model reads past them, and to find the places for
	// them takes the square of the length of a text.
	c := converter.NewConverter(converter.WithEscapeMode(converter.EscapeModeDisabled), converter.WithPlugins(basic.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin()))
	text, err := c.ConvertNode(node, converter.WithDomain(base(at)))
	return strings.TrimSpace(strings.ToValidUTF8(string(text), "\ufffd")), err
}

// clean takes out what no reader of the page would see: scripts, styles, what is
// hidden, and images that are written into the page itself. It reports whether
// the tree is not too deep.
func clean(node *html.Node, depth, nested int) bool {
	switch node.DataAtom {
	case atom.Blockquote, atom.Ul, atom.Ol, atom.Dl, atom.Menu:
		nested++
	}
	if depth > maxDepth || nested > maxNested {
		return false
	}
	for child := node.FirstChild; child != nil; {
		next := child.NextSibling
		if unseen(child) {
			node.RemoveChild(child)
		} else if !clean(child, depth+1, nested) {
			return false
		}
		child = next
	}
	return true
}

func unseen(node *html.Node) bool {
	if node.Type == html.CommentNode {
		return true
	}
	if node.Type != html.ElementNode {
		return false
	}
	switch node.DataAtom {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Svg, atom.Iframe, atom.Object, atom.Embed, atom.Canvas, atom.Dialog:
		return true
	}
	for _, attribute := range node.Attr {
		value := strings.ToLower(strings.TrimSpace(attribute.Val))
		switch attribute.Key {
		case "hidden":
			return true
		case "style":
			style := strings.ReplaceAll(value, " ", "")
			if strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden") {
				return true
			}
		case "src":
			if node.DataAtom == atom.Img && strings.HasPrefix(value, "data:") {
				return true
			}
		}
	}
	return false
}

// bare takes the text out of a page without parsing it.
func bare(page string) (title, text string) {
	tokens := html.NewTokenizer(strings.NewReader(page))
	var out, heading strings.Builder
	hidden, inTitle := "", false
	for {
		switch tokens.Next() {
		case html.ErrorToken:
			return clip(heading.String(), 300), strings.TrimSpace(squeeze(out.String()))
		case html.TextToken:
			switch {
			case hidden != "":
			case inTitle:
				heading.Write(tokens.Text())
			default:
				out.Write(tokens.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := tokens.TagName()
			switch atom.Lookup(name) {
			case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Svg, atom.Iframe:
				if hidden == "" {
					hidden = string(name)
				}
			case atom.Title:
				inTitle = true
			case atom.Td, atom.Th:
				out.WriteByte(' ')
			case atom.A, atom.B, atom.I, atom.Em, atom.Strong, atom.Span, atom.Code, atom.Sub, atom.Sup, atom.Small:
			default:
				out.WriteByte('\n')
			}
		case html.EndTagToken:
			name, _ := tokens.TagName()
			if string(name) == hidden {
				hidden = ""
			}
			if atom.Lookup(name) == atom.Title {
				inTitle = false
			}
		}
	}
}

// squeeze takes out white space at the ends of lines, and all but one of several
// empty lines.
func squeeze(text string) string {
	var out strings.Builder
	empty := 0
	for line := range strings.Lines(strings.ToValidUTF8(text, "\ufffd")) {
		line = strings.TrimRight(strings.TrimLeft(line, "\n"), " \t\r\n")
		if line == "" {
			empty++
			continue
		}
		if empty > 0 && out.Len() > 0 {
			out.WriteByte('\n')
		}
		empty = 0
		out.WriteString(line)
		out.WriteByte('\n')
	}
	return out.String()
}
