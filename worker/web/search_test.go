package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// asked is a request as a service got it.
type asked struct {
	method string
	query  map[string][]string
	header http.Header
	body   map[string]any
}

// fake is a service that gives one answer, and keeps what it was asked.
func fake(t *testing.T, status int, kind, answer string) (base string, got *asked) {
	t.Helper()
	got = &asked{}
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		*got = asked{method: r.Method, query: r.URL.Query(), header: r.Header}
		if len(body) > 0 {
			if err := json.Unmarshal(body, &got.body); err != nil {
				t.Errorf("asked with %s", body)
			}
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}), got
}

// client asks the one service at base.
func client(t *testing.T, service, base string) *Client {
	t.Helper()
	return newClient(t, Options{
		Search: service, SearXNG: base, private: loopback(), Version: "1.2",
		Keys:      map[string]string{Brave: "key-of-brave", Tavily: "key-of-tavily", Exa: "key-of-exa", Firecrawl: "key-of-firecrawl"},
		endpoints: endpoints{base, base, base, base, base, base, base + "/html/", base + "/lite/"},
	})
}

const (
	jsonType = "application/json"
	htmlType = "text/html; charset=utf-8"
	sseType  = "text/event-stream"
	// The answers are those of the services' documentation, shortened.
	searxngAnswer = `{"query":"go","number_of_results":0,"results":[{"url":"https://go.dev/","title":"The Go  Language","content":"An open-source\n language","engine":"brave","parsed_url":["https","go.dev","/"],"score":3.0,"publishedDate":null},{"url":"https://go.dev/","title":"again"},{"url":"javascript:x","title":"no page"},{"url":"https://pkg.go.dev/","title":"Packages","content":null}],"answers":[],"corrections":[],"infoboxes":[],"suggestions":["golang"],"unresponsive_engines":[["google","CAPTCHA"]]}`
	braveAnswer   = `{"type":"search","query":{"original":"go"},"web":{"type":"search","results":[{"title":"The <strong>Go</strong> Language","url":"https://go.dev/","is_source_local":false,"description":"<strong>Go</strong> is an open source &amp; simple language"},{"title":"Packages","url":"https://pkg.go.dev/","description":""}]}}`
	tavilyAnswer  = `{"query":"go","answer":null,"images":[],"results":[{"title":"The Go Language","url":"https://go.dev/","content":"An open-source language","score":0.98,"raw_content":null},{"title":"Packages","url":"https://pkg.go.dev/","content":"x","score":0.5}],"response_time":"1.67"}`
	exaAnswer     = `{"requestId":"b5947044","results":[{"title":"The Go Language","url":"https://go.dev/","publishedDate":"2023-11-16","author":null,"id":"https://go.dev/","highlights":["An open-source language","with a runtime"],"highlightScores":[0.4]},{"title":"Packages","url":"https://pkg.go.dev/","text":"All of them"}],"costDollars":{"total":0.005}}`
	fireAnswer    = `{"success":true,"data":{"web":[{"url":"https://go.dev/","title":"The Go Language","description":"An open-source language","position":1},{"url":"https://pkg.go.dev/","title":"Packages","description":"x","position":2}],"images":[]}}`
	exaText       = `Title: The Go Language\nURL: https://go.dev/\nPublished: 2023-11-16\nAuthor: N/A\nHighlights:\nAn open-source language\nTitle: not one\n\n---\n\nTitle: Packages\nURL: https://pkg.go.dev/\nHighlights:\nAll of them`
	exaMCPAnswer  = "event: message\ndata: {\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"" + exaText + "\"}]},\"jsonrpc\":\"2.0\",\"id\":1}\n\n"
	parallelBody  = `{"search_id":"s","results":[{"url":"https://go.dev/","title":"The Go Language","publish_date":"2023-11-16","excerpts":["An open-source language","x"]},{"url":"https://pkg.go.dev/","title":"Packages","excerpts":[]}]}`
	duckHTML      = `<html><body><div class="result results_links results_links_deep web-result "><div class="links_main links_deep result__body"><h2 class="result__title"><a rel="nofollow" class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fgo.dev%2F&amp;rut=abc">The <b>Go</b> Language &amp; more</a></h2><a class="result__snippet" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fgo.dev%2F">An <b>open-source</b> language</a></div></div><div class="result result--ad"><a class="result__a" href="https://duckduckgo.com/y.js?ad_domain=x">Buy</a></div><div class="result"><a class="result__a" href="https://pkg.go.dev/">Packages</a></div></body></html>`
	duckLite      = `<table><tr><td>1.&nbsp;</td><td><a rel="nofollow" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fgo.dev%2F&amp;rut=x" class='result-link'>The Go Language</a></td></tr><tr><td>&nbsp;</td><td class='result-snippet'>An <b>open-source</b> language</td></tr><tr><td><a href="https://pkg.go.dev/" class='result-link'>Packages</a></td></tr></table>`
	duckChallenge = `<html><body><form id="challenge-form" action="//duckduckgo.com/anomaly.js?sv=html"><div class="anomaly-modal__title">Unfortunately, bots use DuckDuckGo too.</div></form></body></html>`
)

func rpc(text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":` + string(encoded) + `}]}}`
}

// Each service is asked as its documentation says, and its answer is understood.
func TestServices(t *testing.T) {
	t.Parallel()
	tests := []struct {
		service, kind, answer string
		check                 func(*asked) bool
	}{
		{SearXNG, jsonType, searxngAnswer, func(a *asked) bool {
			return a.method == "GET" && a.query["format"][0] == "json" && a.query["q"][0] == "go lang"
		}},
		{Brave, jsonType, braveAnswer, func(a *asked) bool {
			return a.query["q"][0] == "go lang" && a.query["count"][0] == "2" && a.header.Get("X-Subscription-Token") == "key-of-brave"
		}},
		{Tavily, jsonType, tavilyAnswer, func(a *asked) bool {
			return a.method == "POST" && a.body["query"] == "go lang" && a.body["max_results"] == 2.0 && a.header.Get("Authorization") == "Bearer key-of-tavily"
		}},
		{Exa, jsonType, exaAnswer, func(a *asked) bool {
			return a.method == "POST" && a.body["query"] == "go lang" && a.body["numResults"] == 2.0 && a.header.Get("X-Api-Key") == "key-of-exa" && a.body["contents"] != nil
		}},
		{Firecrawl, jsonType, fireAnswer, func(a *asked) bool {
			return a.body["query"] == "go lang" && a.body["limit"] == 2.0 && a.header.Get("Authorization") == "Bearer key-of-firecrawl"
		}},
		{ExaKeyless, sseType, exaMCPAnswer, func(a *asked) bool {
			params, _ := a.body["params"].(map[string]any)
			arguments, _ := params["arguments"].(map[string]any)
			return a.body["jsonrpc"] == "2.0" && a.body["method"] == "tools/call" && params["name"] == "web_search_exa" && arguments["query"] == "go lang" &&
				arguments["numResults"] == 2.0 && strings.Contains(a.header.Get("Accept"), "text/event-stream") && a.header.Get("X-Api-Key") == ""
		}},
		{ParallelKeyless, jsonType, rpc(parallelBody), func(a *asked) bool {
			params, _ := a.body["params"].(map[string]any)
			arguments, _ := params["arguments"].(map[string]any)
			session, _ := arguments["session_id"].(string)
			return params["name"] == "web_search" && arguments["objective"] == "go lang" && len(session) == 32
		}},
		{DuckDuckGo, htmlType, duckHTML, func(a *asked) bool { return a.query["q"][0] == "go lang" }},
		{DuckDuckGo, htmlType, duckLite, func(a *asked) bool { return a.query["q"][0] == "go lang" }},
	}
	for _, test := range tests {
		t.Run(test.service, func(t *testing.T) {
			t.Parallel()
			base, got := fake(t, 200, test.kind, test.answer)
			found, err := client(t, test.service, base).Search(t.Context(), "go lang", 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Results) != 2 || found.Service != test.service {
				t.Fatalf("found %+v", found)
			}
			first, second := found.Results[0], found.Results[1]
			if first.URL != "https://go.dev/" || !strings.HasPrefix(first.Title, "The Go Language") || !strings.Contains(strings.ToLower(first.Description), "open") ||
				strings.ContainsAny(first.Description+first.Title, "<>\n") || second.URL != "https://pkg.go.dev/" {
				t.Errorf("found %+v", found.Results)
			}
			if !test.check(got) || !strings.Contains(got.header.Get("User-Agent"), "hermes/1.2") {
				t.Errorf("asked %+v", got)
			}
		})
	}
}

// A refusal is never an answer without results, and says in which words it came.
func TestRefusalsAreNotEmptyAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		service      string
		status       int
		kind, answer string
		want         string // "" if it is an answer without results
	}{
		{SearXNG, 200, jsonType, `{"results":[],"unresponsive_engines":[]}`, ""},
		{SearXNG, 200, jsonType, `{"results":[],"unresponsive_engines":[["google","CAPTCHA"],["brave","too many requests"]]}`, "its engines did not answer: google CAPTCHA, brave too many requests"},
		{SearXNG, 403, htmlType, "<h1>Forbidden</h1>", "needs json among search.formats"},
		{SearXNG, 200, htmlType, "<html>results</html>", "was not understood"},
		{SearXNG, 429, htmlType, "Too Many Requests", "HTTP 429 Too Many Requests"},
		{SearXNG, 302, htmlType, "", "it answers at another address"},
		{Brave, 200, jsonType, `{"type":"search"}`, ""},
		{Brave, 429, jsonType, `{"type":"ErrorResponse","error":{"id":"x","status":429,"code":"RATE_LIMITED","detail":"Request rate limit exceeded for plan."}}`, "HTTP 429 Too Many Requests: Request rate limit exceeded for plan."},
		{Brave, 422, jsonType, `{"error":{"detail":"The provided subscription token is invalid."}}`, "HTTP 422 Unprocessable Entity: The provided subscription token is invalid."},
		{Tavily, 200, jsonType, `{"results":[]}`, ""},
		{Tavily, 401, jsonType, `{"detail":{"error":"The API key is missing or invalid."}}`, "HTTP 401 Unauthorized: The API key is missing or invalid."},
		{Tavily, 432, jsonType, `{"detail":{"error":"This request exceeds your plan's set usage limit."}}`, "HTTP 432: This request exceeds your plan's set usage limit."},
		{Exa, 200, jsonType, `{"results":[]}`, ""},
		{Exa, 402, jsonType, `{"requestId":"x","error":"You have exceeded your credits limit","tag":"NO_MORE_CREDITS"}`, "HTTP 402 Payment Required: You have exceeded your credits limit"},
		{Firecrawl, 200, jsonType, `{"success":true,"data":{"web":[]}}`, ""},
		{Firecrawl, 200, jsonType, `{"success":false,"error":"Insufficient credits"}`, "Insufficient credits"},
		{Firecrawl, 500, jsonType, `[]`, "HTTP 500 Internal Server Error"},
		{ExaKeyless, 200, jsonType, rpc("No search results found. Please try a different query."), ""},
		{ExaKeyless, 200, sseType, "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"_meta\":{\"ai.exa/rateLimited\":true},\"content\":[{\"type\":\"text\",\"text\":\"You've hit Exa's free MCP rate limit.\"}]}}\n\n", "You've hit Exa's free MCP rate limit."},
		{ExaKeyless, 200, jsonType, rpc("You've hit Exa's free MCP rate limit."), "rate limit"},
		{ExaKeyless, 200, jsonType, `{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"MCP error -32602: Tool not found"}]}}`, "Tool not found"},
		{ExaKeyless, 200, jsonType, `{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"Too many requests"}}`, "Too many requests"},
		{ExaKeyless, 200, sseType, ": ping\n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\"}\n\n", "was not understood"},
		{ExaKeyless, 200, jsonType, rpc("Something else"), "was not understood"},
		{ExaKeyless, 403, htmlType, "<title>Just a moment...</title>", "HTTP 403 Forbidden: it wants a proof that a person asks"},
		{ParallelKeyless, 200, jsonType, rpc(`{"results":[]}`), ""},
		{ParallelKeyless, 200, jsonType, rpc(`{"error":"rate limit exceeded"}`), "rate limit exceeded"},
		{ParallelKeyless, 200, jsonType, rpc(`hello`), "was not understood"},
		{DuckDuckGo, 200, htmlType, `<div class="no-results">No results found for <b>x</b></div>`, ""},
		{DuckDuckGo, 202, htmlType, duckChallenge, "proof that a person asks"},
		{DuckDuckGo, 200, htmlType, duckChallenge, "proof that a person asks"},
		{DuckDuckGo, 202, htmlType, "", "proof that a person asks"},
		{DuckDuckGo, 200, htmlType, "<html></html>", "was not understood"},
		{DuckDuckGo, 403, htmlType, "no", "HTTP 403 Forbidden"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.service, " ", test.status, " ", test.want), func(t *testing.T) {
			t.Parallel()
			base, _ := fake(t, test.status, test.kind, test.answer)
			found, err := client(t, test.service, base).Search(t.Context(), "x", 5)
			switch {
			case test.want == "" && (err != nil || len(found.Results) != 0):
				t.Errorf("found %+v, %v", found, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.service+": ") || !strings.Contains(err.Error(), test.want)):
				t.Errorf("found %+v, error %v, want %q", found, err, test.want)
			case err != nil && strings.Contains(err.Error(), "key-of"):
				t.Errorf("the error holds a key: %v", err)
			}
		})
	}
}

// Auto goes from service to service until one answers; one that was chosen is
// asked alone.
func TestAuto(t *testing.T) {
	t.Parallel()
	down, _ := fake(t, 503, jsonType, `{"message":"down"}`)
	limited, _ := fake(t, 429, jsonType, `{}`)
	good, _ := fake(t, 200, jsonType, rpc(parallelBody))
	all := Options{
		SearXNG: down, Keys: map[string]string{Brave: "secret-key", Exa: "secret-key"}, private: loopback(),
		endpoints: endpoints{down, down, limited, down, limited, good, down, down},
	}
	names := func(c *Client) (names []string) {
		for _, service := range c.chain {
			names = append(names, service.name)
		}
		return names
	}
	c := newClient(t, all)
	if want := []string{SearXNG, Brave, Exa, ExaKeyless, ParallelKeyless, DuckDuckGo}; !slices.Equal(names(c), want) {
		t.Errorf("asks %q, want %q", names(c), want)
	}
	found, err := c.Search(t.Context(), "x", 5)
	if err != nil || found.Service != ParallelKeyless || len(found.Results) != 2 {
		t.Errorf("found %+v, %v", found, err)
	}
	all.endpoints.parallelMCP = down
	_, err = newClient(t, all).Search(t.Context(), "x", 5)
	want := "searxng: HTTP 503 Service Unavailable: down; brave: HTTP 503 Service Unavailable: down; exa: HTTP 429 Too Many Requests; " +
		"exa-keyless: HTTP 429 Too Many Requests; parallel-keyless: HTTP 503 Service Unavailable: down; duckduckgo: HTTP 503 Service Unavailable: down"
	failure, ok := errors.AsType[*SearchError](err)
	if !ok || len(failure.Attempts) != 6 || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if c := newClient(t, Options{}); !slices.Equal(names(c), []string{ExaKeyless, ParallelKeyless, DuckDuckGo}) {
		t.Errorf("without any setting it asks %q", names(c))
	}
	for _, service := range Services() {
		if c := newClient(t, Options{Search: service}); !slices.Equal(names(c), []string{service}) {
			t.Errorf("%s asks %q", service, names(c))
		}
	}
	for service, want := range map[string]string{SearXNG: "web.searxng_url", Brave: "BRAVE_API_KEY", Tavily: "TAVILY_API_KEY", Exa: "EXA_API_KEY", Firecrawl: "FIRECRAWL_API_KEY"} {
		if _, err := newClient(t, Options{Search: service}).Search(t.Context(), "x", 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s without its setting: %v", service, err)
		}
	}
}

// A service that redirects gets no second request, and so no other host its key.
func TestKeysStayWithTheirService(t *testing.T) {
	t.Parallel()
	pot := newHoneypot(t)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("http://127.0.0.1:%d/", pot.port), http.StatusTemporaryRedirect)
	})
	for _, service := range Services() {
		if _, err := client(t, service, base).Search(t.Context(), "x", 1); err == nil || !strings.Contains(err.Error(), "another address") {
			t.Errorf("%s: %v", service, err)
		}
	}
	if got := pot.contacts.Load(); got != 0 {
		t.Errorf("the honeypot had %d contacts", got)
	}
}

func TestSearchThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	started := make(chan struct{}, 8)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		started <- struct{}{}
		<-r.Context().Done()
	})
	opts := Options{Search: SearXNG, SearXNG: base, timeout: 50 * time.Millisecond}
	if _, err := newClient(t, opts).Search(t.Context(), "x", 1); err == nil || !strings.Contains(err.Error(), "searxng: the server was too slow") {
		t.Errorf("error %v", err)
	}
	<-started
	opts.timeout = 0
	cause := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-started; cancel(cause) }()
	if _, err := newClient(t, opts).Search(ctx, "x", 1); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

func TestHugeAndHostileAnswers(t *testing.T) {
	t.Parallel()
	many := `{"results":[` + strings.TrimSuffix(strings.Repeat(`{"url":"https://a.example/","title":"x"},`, 20_000), ",") + `]}`
	for _, test := range []struct{ answer, want string }{
		{many, ""},
		{`{"results":[{"url":"https://a.example/","title":"` + strings.Repeat("ä", 100_000) + `","content":"` + strings.Repeat("x ", 100_000) + `"}]}`, ""},
		{`{"results":[{"url":"https://a.example/","title":"a\u0000\u001b[31mb","content":"\u202e\n\n"}]}`, ""},
		{`{"results":` + strings.Repeat("[", 100_000), "was not understood"},
		{strings.Repeat(" ", maxAnswer+1), "its answer is longer than"},
		{"\xff\xfe\x00\x01", "was not understood"},
	} {
		base, _ := fake(t, 200, jsonType, test.answer)
		found, err := client(t, SearXNG, base).Search(t.Context(), "x", 50)
		if test.want != "" {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s…: %v", clip(test.answer, 20), err)
			}
			continue
		}
		if err != nil || len(found.Results) != 1 || len(found.Results[0].Title) > 500 || len(found.Results[0].Description) > 1000 || strings.ContainsAny(found.Results[0].Title, "\x00\x1b") {
			t.Errorf("%s…: %v, %d results", clip(test.answer, 20), err, len(found.Results))
		}
	}
}

// No answer of any service makes a parser panic, or gives a result that is no page.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{searxngAnswer, braveAnswer, tavilyAnswer, exaAnswer, fireAnswer, exaMCPAnswer, rpc(parallelBody), parallelBody, duckHTML, duckLite, duckChallenge} {
		f.Add(seed)
	}
	f.Add(strings.ReplaceAll(exaText, `\n`, "\n"))
	f.Fuzz(func(t *testing.T, text string) {
		a := answer{status: 200, body: []byte(text)}
		var all []Result
		for _, parse := range []func(answer) ([]Result, error){parseSearXNG, parseBrave, parseTavily, parseExa, parseFirecrawl, parseDuckDuckGo} {
			results, err := parse(a)
			if err != nil && err.Error() == "" {
				t.Error("an error without a text")
			}
			all = append(all, results...)
		}
		for _, parse := range []func(string) ([]Result, error){parseExaText, parseParallel} {
			results, _ := parse(text)
			all = append(all, results...)
		}
		if text, err := parseMCP(a); err == nil {
			_, _ = parseExaText(text)
		}
		for _, result := range tidy(all, MaxResults) {
			if !strings.HasPrefix(result.URL, "http") || strings.ContainsAny(result.URL+result.Title+result.Description, "\n\x00") {
				t.Errorf("%+v", result)
			}
		}
	})
}
