package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hermes/worker/llm/llmtest"
)

// The web settings of the home reach the worker: its searches go to a SearXNG
// server on this machine, its pages come from the one place that is allowed, PDFs
// among them, and from no other place of this machine.
func TestTheAgentReachesTheWebAsItIsSet(t *testing.T) {
	t.Parallel()
	searxng := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/search" || r.URL.Query().Get("format") != "json" {
			t.Errorf("SearXNG was asked for %s", r.URL)
		}
		_, _ = fmt.Fprintf(w, `{"results":[{"title":"About %s","url":"https://a.example/","content":"words"}]}`, r.URL.Query().Get("q"))
	}))
	t.Cleanup(searxng.Close)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/q3.pdf" {
			_, _ = w.Write(report("/Size 6"))
			return
		}
		_, _ = io.WriteString(w, "<title>A page</title><p>Some <b>words</b>.</p>")
	}))
	t.Cleanup(site.Close)
	m := newMachineWith(t, func(call llmtest.Call) llmtest.Reply {
		if call.Steps() > 0 {
			return llmtest.Text("done")
		}
		return llmtest.Reply{Calls: []llmtest.ToolCall{
			{Name: "web_search", Arguments: `{"query":"ships"}`},
			{Name: "web_extract", Arguments: fmt.Sprintf(`{"urls":["%s/page","%[1]s/q3.pdf","%s/search?q=x"]}`, site.URL, searxng.URL)},
		}}
	})
	m.run("config", "set", "web.search", "searxng")
	m.run("config", "set", "web.searxng_url", searxng.URL)
	alice := m.create("alice")
	m.run("-p", "alice", "config", "set", "web.allow_private", strings.TrimPrefix(site.URL, "http://"))
	g := m.gateway(1, "--all")
	if status, body := alice.answer(t, "look it up"); status != http.StatusOK {
		t.Fatalf("got %d %s\n%s", status, body, g.printed())
	}
	calls := m.upstream.Calls()
	got := strings.Join(calls[len(calls)-1].ToolResults(), "\n")
	for _, want := range []string{
		"1. About ships\n   https://a.example/\n   words\n", "# A page\n\nSome **words**.\n", "Quarterly report",
		searxng.URL + "/search?q=x was not read: its port is not one that pages are fetched from.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the results:\n%s", want, got)
		}
	}
}
