package web

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// duckduckgo reads the page that DuckDuckGo makes for browsers without scripts,
// and if that fails its still simpler one.
func (c *Client) duckduckgo(ctx context.Context, query string, _ int) ([]Result, error) {
	var first error
	for _, base := range []string{c.opts.endpoints.duckHTML, c.opts.endpoints.duckLite} {
		a, err := c.send(ctx, http.MethodGet, base+"?"+url.Values{"q": {query}}.Encode(), http.Header{"Accept": {"text/html"}}, nil)
		var results []Result
		if err == nil {
			results, err = parseDuckDuckGo(a)
		}
		if err == nil {
			return results, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// parseDuckDuckGo reads the results of either page. A page that has neither
// results nor the words that there are none is a refusal: it comes with status
// 202, or with 200, and looks much like an answer without results.
func parseDuckDuckGo(a answer) ([]Result, error) {
	if a.status != http.StatusOK {
		if a.status == http.StatusAccepted {
			return nil, errChallenge
		}
		return nil, refusal(a)
	}
	var results []Result
	tokens := html.NewTokenizer(bytes.NewReader(a.body))
	var text *strings.Builder // of the title or the description that is open
	var closes string         // the name of the tag that ends it
	var finish func(string)
	for {
		kind := tokens.Next()
		if kind == html.ErrorToken {
			break
		}
		switch kind {
		case html.TextToken:
			if text != nil && text.Len() < 4096 {
				text.Write(tokens.Text())
			}
		case html.StartTagToken:
			token := tokens.Token()
			classes := strings.Fields(attribute(token, "class"))
			switch {
			case text != nil:
			case token.Data == "a" && (slices.Contains(classes, "result__a") || slices.Contains(classes, "result-link")):
				address := target(attribute(token, "href"))
				text, closes = &strings.Builder{}, "a"
				finish = func(title string) {
					if address != "" {
						results = append(results, Result{Title: title, URL: address})
					}
				}
			case slices.Contains(classes, "result__snippet"), slices.Contains(classes, "result-snippet"):
				text, closes = &strings.Builder{}, token.Data
				finish = func(snippet string) {
					if last := len(results) - 1; last >= 0 && results[last].Description == "" {
						results[last].Description = snippet
					}
				}
			}
		case html.EndTagToken:
			if name, _ := tokens.TagName(); text != nil && string(name) == closes {
				finish(text.String())
				text = nil
			}
		}
	}
	if len(results) > 0 {
		return results, nil
	}
	low := bytes.ToLower(a.body)
	switch {
	case challenged(a.body):
		return nil, errChallenge
	case bytes.Contains(low, []byte("no-results")), bytes.Contains(low, []byte("no results")), bytes.Contains(low, []byte("no more results")):
		return nil, nil
	default:
		return nil, errNotUnderstood
	}
}

func attribute(token html.Token, name string) string {
	for _, attribute := range token.Attr {
		if attribute.Key == name {
			return attribute.Val
		}
	}
	return ""
}

// target is the page that a link of DuckDuckGo leads to, which stands in a
// parameter of most, or "" for an advertisement.
func target(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	host := strings.TrimPrefix(u.Hostname(), "html.")
	if host != "" && host != "duckduckgo.com" && host != "lite.duckduckgo.com" {
		return link
	}
	return u.Query().Get("uddg")
}
