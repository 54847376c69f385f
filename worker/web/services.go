package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// searxng asks a SearXNG server, which has to have the format json among its
// search.formats (https://docs.searxng.org/dev/search_api.html).
func (c *Client) searxng(ctx context.Context, query string, _ int) ([]Result, error) {
	if c.opts.SearXNG == "" {
		return nil, errors.New("its address is not set (web.searxng_url)")
	}
	address := strings.TrimRight(c.opts.SearXNG, "/") + "/search?" + url.Values{"q": {query}, "format": {"json"}}.Encode()
	a, err := c.send(ctx, http.MethodGet, address, nil, nil)
	if err != nil {
		return nil, err
	}
	if a.status == http.StatusForbidden {
		return nil, errors.New("it does not answer in JSON; its settings.yml needs json among search.formats")
	}
	return parseSearXNG(a)
}

func parseSearXNG(a answer) ([]Result, error) {
	var body struct {
		Results []struct{ Title, URL, Content string }
		// An engine that did not answer is a pair of its name and the reason.
		Silent [][]any `json:"unresponsive_engines"`
	}
	if err := decode(a, &body); err != nil {
		return nil, err
	}
	if len(body.Results) == 0 && len(body.Silent) > 0 {
		var engines []string
		for _, engine := range body.Silent {
			engines = append(engines, strings.TrimSuffix(fmt.Sprintln(engine...), "\n"))
		}
		return nil, fmt.Errorf("its engines did not answer: %s", clip(strings.Join(engines, ", "), 200))
	}
	var results []Result
	for _, r := range body.Results {
		results = append(results, Result{r.Title, r.URL, r.Content})
	}
	return results, nil
}

// brave asks the Brave Search API (https://api-dashboard.search.brave.com).
func (c *Client) brave(ctx context.Context, query string, limit int) ([]Result, error) {
	key, err := c.key(Brave, "BRAVE_API_KEY")
	if err != nil {
		return nil, err
	}
	// It takes 400 characters and 50 words.
	query = strings.Join(firstWords(query, 50), " ")
	query = strings.TrimSuffix(clip(query, 399), "…")
	address := c.opts.endpoints.brave + "?" + url.Values{"q": {query}, "count": {strconv.Itoa(limit)}}.Encode()
	a, err := c.send(ctx, http.MethodGet, address, http.Header{"X-Subscription-Token": {key}}, nil)
	if err != nil {
		return nil, err
	}
	return parseBrave(a)
}

func parseBrave(a answer) ([]Result, error) {
	var body struct {
		Web struct{ Results []Result }
	}
	err := decode(a, &body)
	return body.Web.Results, err
}

// tavily asks the Tavily Search API (https://docs.tavily.com).
func (c *Client) tavily(ctx context.Context, query string, limit int) ([]Result, error) {
	key, err := c.key(Tavily, "TAVILY_API_KEY")
	if err != nil {
		return nil, err
	}
	a, err := c.send(ctx, http.MethodPost, c.opts.endpoints.tavily, http.Header{"Authorization": {"Bearer " + key}},
		map[string]any{"query": query, "max_results": limit})
	if err != nil {
		return nil, err
	}
	return parseTavily(a)
}

func parseTavily(a answer) ([]Result, error) {
	var body struct {
		Results []struct{ Title, URL, Content string }
	}
	err := decode(a, &body)
	var results []Result
	for _, r := range body.Results {
		results = append(results, Result{r.Title, r.URL, r.Content})
	}
	return results, err
}

// exa asks the Exa API (https://exa.ai/docs/reference/search).
func (c *Client) exa(ctx context.Context, query string, limit int) ([]Result, error) {
	key, err := c.key(Exa, "EXA_API_KEY")
	if err != nil {
		return nil, err
	}
	a, err := c.send(ctx, http.MethodPost, c.opts.endpoints.exa, http.Header{"X-Api-Key": {key}}, map[string]any{
		"query": query, "type": "auto", "numResults": limit, "contents": map[string]any{"highlights": true},
	})
	if err != nil {
		return nil, err
	}
	return parseExa(a)
}

// exaResult is a result of Exa, in each of its interfaces.
type exaResult struct {
	Title, URL, Text string
	Highlights       []string
}

func (r exaResult) result() Result {
	return Result{r.Title, r.URL, cmp.Or(strings.Join(r.Highlights, " … "), r.Text)}
}

func parseExa(a answer) ([]Result, error) {
	var body struct{ Results []exaResult }
	err := decode(a, &body)
	var results []Result
	for _, r := range body.Results {
		results = append(results, r.result())
	}
	return results, err
}

// firecrawl asks the Firecrawl API (https://docs.firecrawl.dev/features/search).
func (c *Client) firecrawl(ctx context.Context, query string, limit int) ([]Result, error) {
	key, err := c.key(Firecrawl, "FIRECRAWL_API_KEY")
	if err != nil {
		return nil, err
	}
	a, err := c.send(ctx, http.MethodPost, c.opts.endpoints.firecrawl, http.Header{"Authorization": {"Bearer " + key}},
		map[string]any{"query": query, "limit": limit})
	if err != nil {
		return nil, err
	}
	return parseFirecrawl(a)
}

func parseFirecrawl(a answer) ([]Result, error) {
	var body struct {
		Success *bool
		Error   string
		Data    struct{ Web []Result }
	}
	if err := decode(a, &body); err != nil {
		return nil, err
	}
	if body.Success != nil && !*body.Success {
		return nil, errors.New(cmp.Or(clip(body.Error, 200), "it failed and does not say why"))
	}
	return body.Data.Web, nil
}

// key is the key of a service.
func (c *Client) key(service, variable string) (string, error) {
	if key := c.opts.Keys[service]; key != "" {
		return key, nil
	}
	return "", fmt.Errorf("its key is not set (%s)", variable)
}

// send asks a service. A body that is not nil is sent as JSON.
func (c *Client) send(ctx context.Context, method, address string, header http.Header, body any) (answer, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	if body == nil {
		encoded = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(encoded))
	if err != nil {
		return answer{}, errors.New("its address cannot be read")
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	maps.Copy(request.Header, header)
	a, err := c.do(c.services, request, maxAnswer)
	if err == nil && a.cut {
		err = fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
	}
	return a, err
}

// decode reads the JSON of an answer. Whatever is not a plain 200 with JSON is a
// failure, and the error says what the service said.
func decode(a answer, into any) error {
	if a.status != http.StatusOK {
		return refusal(a)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		if challenged(a.body) {
			return errChallenge
		}
		return errNotUnderstood
	}
	return nil
}

// refusal is the error of an answer that is not a 200: the status, and what stands
// in the places where services put their reason.
func refusal(a answer) error {
	status := fmt.Sprintf("HTTP %d %s", a.status, http.StatusText(a.status))
	if a.status >= 300 && a.status < 400 {
		return errors.New(status + ": it answers at another address")
	}
	reason := ""
	var body map[string]any
	if json.Unmarshal(a.body, &body) == nil {
		reason = reasonIn(body, 3)
	} else if challenged(a.body) {
		return fmt.Errorf("%s: %w", strings.TrimSpace(status), errChallenge)
	}
	if reason == "" {
		return errors.New(strings.TrimSpace(status))
	}
	return fmt.Errorf("%s: %s", strings.TrimSpace(status), clip(reason, 200))
}

// reasonIn finds the text of an error: {"error": "x"}, {"detail": {"error": "x"}},
// {"error": {"code": "A", "detail": "x"}}, {"message": "x"}.
func reasonIn(body map[string]any, depth int) string {
	for _, name := range []string{"message", "detail", "error"} {
		switch value := body[name].(type) {
		case string:
			if value != "" {
				return value
			}
		case map[string]any:
			if depth > 0 {
				if reason := reasonIn(value, depth-1); reason != "" {
					return reason
				}
			}
		}
	}
	return ""
}

// errChallenge is the answer of services that take hermes for a robot, which it is.
var errChallenge = errors.New("it wants a proof that a person asks (a CAPTCHA); it is asked too often from this address")

// challenged reports whether a page asks for such a proof instead of answering.
func challenged(page []byte) bool {
	page = bytes.ToLower(page[:min(len(page), 256<<10)])
	return slices.ContainsFunc([]string{
		"anomaly-modal", "anomaly.js", "challenge-form", "bots use duckduckgo", "captcha", "unusual traffic", "cf-chl", "just a moment...",
	}, func(mark string) bool { return bytes.Contains(page, []byte(mark)) })
}

// firstWords returns the first words of a text, n at most.
func firstWords(text string, n int) []string {
	words := strings.Fields(text)
	return words[:min(len(words), n)]
}
