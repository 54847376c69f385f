package worker

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"hermes/supervisor/handoff"
	"hermes/worker/llm/llmtest"
)

// toolStories are about tools that do what they are asked to.
func toolStories() []story {
	return []story{
		{
			name: "one-tool", about: "The model reads a file and answers with what it holds.",
			answers: []llmtest.Reply{use("read_file", `{"path":"notes.txt"}`), llmtest.Text("Milk and eggs.")},
			play:    func(s *scene) { s.say("What do I need?") },
		},
		{
			name: "tools-in-order", about: "Three steps that build on each other, one of them with words before the call.",
			answers: []llmtest.Reply{
				use("search_files", `{"pattern":"*.txt","target":"files"}`),
				{Chunks: []string{"There it is."}, Calls: use("patch", `{"path":"notes.txt","old_string":"eggs","new_string":"six eggs"}`).Calls},
				use("terminal", `{"command":"wc -l notes.txt"}`),
				llmtest.Text("Two lines, six eggs."),
			},
			play: func(s *scene) { s.say("Make it six eggs, and count the lines.") },
		},
		{
			name: "parallel-reads", about: "Calls of one answer that only read run beside each other; the model gets their results in the order of its calls.",
			files: map[string]string{"workspace/more.txt": "tea\n"},
			answers: []llmtest.Reply{
				both(use("read_file", `{"path":"notes.txt"}`), use("read_file", `{"path":"more.txt"}`), use("search_files", `{"pattern":"tea"}`)),
				llmtest.Text("Milk, eggs and tea."),
			},
			play: func(s *scene) { s.say("What is in my files?") },
		},
		{
			name: "writers-in-order", about: "Calls of one answer that write run one after the other: each finds what the one before has left.",
			answers: []llmtest.Reply{
				both(use("write_file", `{"path":"list.txt","content":"one\n"}`), use("patch", `{"path":"list.txt","old_string":"one","new_string":"two"}`),
					use("terminal", `{"command":"sed -i s/two/three/ list.txt; cat list.txt"}`)),
				llmtest.Text("It says three."),
			},
			play: func(s *scene) { s.say("Count to three in list.txt.") },
		},
		{
			name: "failing-tool", about: "A tool that cannot do its work says why, and the model goes on from there.",
			answers: []llmtest.Reply{
				use("read_file", `{"path":"note.txt"}`), use("terminal", `{"command":"echo looking >&2; exit 3"}`), llmtest.Text("I cannot find it."),
			},
			play: func(s *scene) { s.say("Read my note.") },
		},
		{
			name: "skill", about: "The prompt lists a skill; the model reads it and does as it says.",
			files: map[string]string{"skills/tea/SKILL.md": "---\nname: tea\ndescription: How to make tea.\n---\nBoil water. Wait four minutes.\n"},
			answers: []llmtest.Reply{
				use("skill_view", `{"name":"tea"}`), llmtest.Text("Boil water, then wait four minutes."),
			},
			play: func(s *scene) { s.say("How do you make tea?") },
		},
		{
			name: "web", about: "A search, and a page that it found. Both are servers on this machine, which the settings allow.",
			settings: func(s *scene, start *handoff.Start) {
				s.openSite()
				start.Web.Search, start.Web.SearXNGURL, start.Web.AllowPrivate = "searxng", "http://"+s.site, []string{s.site}
			},
			answers: []llmtest.Reply{
				use("web_search", `{"query":"ships"}`), use("web_extract", `{"urls":["http://SITE/ships"]}`), llmtest.Text("Ships float."),
			},
			play: func(s *scene) { s.say("Do ships float?") },
		},
	}
}

// openSite opens a search service and a page, at one address.
func (s *scene) openSite() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/search" {
			_, _ = fmt.Fprintf(w, `{"results":[{"title":"Ships","url":"http://%s/ships","content":"They float."}]}`, r.Host)
			return
		}
		_, _ = io.WriteString(w, "<html><title>Ships</title><p>All <b>ships</b> float.</p></html>")
	}))
	s.t.Cleanup(server.Close)
	s.site = strings.TrimPrefix(server.URL, "http://")
}
