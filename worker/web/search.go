package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strings"
)

// Auto stands for all services that can be asked, in their order.
const Auto = "auto"

// The search services. Those that have a key, or an address of their own, are
// asked first; the next ones need none; DuckDuckGo has no interface for programs
// and is the last resort.
const (
	SearXNG         = "searxng"
	Brave           = "brave"
	Tavily          = "tavily"
	Exa             = "exa"
	Firecrawl       = "firecrawl"
	ExaKeyless      = "exa-keyless"
	ParallelKeyless = "parallel-keyless"
	DuckDuckGo      = "duckduckgo"
)

// Services lists the search services in the order in which Auto asks them.
func Services() []string {
	return []string{SearXNG, Brave, Tavily, Exa, Firecrawl, ExaKeyless, ParallelKeyless, DuckDuckGo}
}

// MaxResults is how many results a search can have.
const MaxResults = 20

// maxDescription is how long a description is, in characters. It is to tell
// whether the page is worth reading, not to take its place.
const maxDescription = 300

// Result is one page that a search found.
type Result struct {
	Title       string
	URL         string
	Description string
}

// Found is what a search found.
type Found struct {
	// Service is the one that answered.
	Service string
	Results []Result
}

// SearchError says what each service answered, none of which found anything.
type SearchError struct{ Attempts []Attempt }

// Attempt is what went wrong with one service.
type Attempt struct {
	Service string
	Err     error
}

func (e *SearchError) Error() string {
	var all []string
	for _, attempt := range e.Attempts {
		all = append(all, fmt.Sprintf("%s: %s", attempt.Service, attempt.Err))
	}
	return strings.Join(all, "; ")
}

// service is a search service that can be asked.
type service struct {
	name string
	ask  func(ctx context.Context, query string, limit int) ([]Result, error)
}

// order lists the services to ask.
func (c *Client) order() ([]service, error) {
	asks := map[string]func(context.Context, string, int) ([]Result, error){
		SearXNG: c.searxng, Brave: c.brave, Tavily: c.tavily, Exa: c.exa, Firecrawl: c.firecrawl,
		ExaKeyless: c.exaKeyless, ParallelKeyless: c.parallelKeyless, DuckDuckGo: c.duckduckgo,
	}
	if c.opts.Search != "" && c.opts.Search != Auto {
		ask := asks[c.opts.Search]
		if ask == nil {
			return nil, fmt.Errorf("there is no search service %q; the services are %s, or %s", c.opts.Search, strings.Join(Services(), ", "), Auto)
		}
		return []service{{c.opts.Search, ask}}, nil
	}
	var all []service
	for _, name := range Services() {
		if name == SearXNG && c.opts.SearXNG == "" || keyed(name) && c.opts.Keys[name] == "" {
			continue
		}
		all = append(all, service{name, asks[name]})
	}
	return all, nil
}

// keyed reports whether a service needs a key.
func keyed(name string) bool { return slices.Contains([]string{Brave, Tavily, Exa, Firecrawl}, name) }

// Search asks the services in their order until one answers. An answer without
// results is one; a refusal, whatever it is dressed up as, is not. The error is a
// *SearchError, or the cause of ctx.
func (c *Client) Search(ctx context.Context, query string, limit int) (Found, error) {
	limit = min(max(limit, 1), MaxResults)
	failed := &SearchError{}
	for _, service := range c.chain {
		results, err := c.try(ctx, service, query, limit)
		if ctx.Err() != nil {
			return Found{}, context.Cause(ctx)
		}
		if err == nil {
			return Found{Service: service.name, Results: results}, nil
		}
		c.opts.Log.Warn("search service failed", "service", service.name, "error", err)
		failed.Attempts = append(failed.Attempts, Attempt{service.name, err})
	}
	return Found{}, failed
}

// try asks one service, for a limited time.
func (c *Client) try(ctx context.Context, service service, query string, limit int) ([]Result, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, min(c.opts.timeout, searchTimeout), errSlow)
	defer cancel()
	results, err := service.ask(ctx, query, limit)
	if err != nil {
		return nil, err
	}
	return tidy(results, limit), nil
}

// tidy makes results short and plain, and leaves out what is no page.
func tidy(results []Result, limit int) []Result {
	kept := make([]Result, 0, min(limit, len(results)))
	seen := make(map[string]bool)
	for _, result := range results {
		u, err := url.Parse(strings.TrimSpace(result.URL))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(result.URL) > maxURL {
			continue
		}
		address := u.String()
		if seen[address] {
			continue
		}
		seen[address] = true
		description := plain(result.Description)
		if short := clip(description, maxDescription); short != description {
			description = short
		}
		kept = append(kept, Result{Title: clip(plain(result.Title), 200), URL: address, Description: description})
		if len(kept) == limit {
			break
		}
	}
	return kept
}

// plain takes the few tags and the entities out of a text that services put there
// to make the words of the query stand out.
func plain(text string) string {
	if strings.ContainsRune(text, '<') {
		for _, tag := range []string{"strong", "b", "em", "mark", "br", "/strong", "/b", "/em", "/mark", "br/", "br /"} {
			text = strings.ReplaceAll(text, "<"+tag+">", "")
		}
	}
	return strings.Join(strings.Fields(html.UnescapeString(strings.ToValidUTF8(text, ""))), " ")
}

// sessionID makes up an id that says nothing of who asks.
func sessionID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}

// errNotUnderstood is what became of an answer that no service should give.
var errNotUnderstood = errors.New("its answer was not understood")

// endpoints are where the services are.
type endpoints struct {
	brave, tavily, exa, firecrawl, exaMCP, parallelMCP, duckHTML, duckLite string
}

// orUsual fills in what is empty.
func (e endpoints) orUsual() endpoints {
	if e == (endpoints{}) {
		return endpoints{
			brave:       "https://api.search.brave.com/res/v1/web/search",
			tavily:      "https://api.tavily.com/search",
			exa:         "https://api.exa.ai/search",
			firecrawl:   "https://api.firecrawl.dev/v2/search",
			exaMCP:      "https://mcp.exa.ai/mcp",
			parallelMCP: "https://search.parallel.ai/mcp",
			duckHTML:    "https://html.duckduckgo.com/html/",
			duckLite:    "https://lite.duckduckgo.com/lite/",
		}
	}
	return e
}
