package worker

import (
	"slices"

	"hermes/supervisor/handoff"
	"hermes/worker/llm/llmtest"
)

// modelStories are about models that fail, stop or lose their way.
func modelStories() []story {
	again := use("read_file", `{"path":"notes.txt"}`)
	return []story{
		{
			name: "empty-answers", about: "An answer of white space is asked about by the agent, one of nothing by the client of the model.",
			answers: []llmtest.Reply{llmtest.Text(" \n"), {}, llmtest.Text("Here I am.")},
			play:    func(s *scene) { s.say("Hello?") },
		},
		{
			name: "budget", about: "A turn may take three steps. In the last one there are no tools, and the model reports.",
			settings: func(_ *scene, start *handoff.Start) { start.Agent.MaxIterations = 3 },
			answers: []llmtest.Reply{
				again, use("search_files", `{"pattern":"flour"}`), llmtest.Text("I have read your notes. I did not find flour; tell me to go on."),
			},
			play: func(s *scene) { s.say("Find flour.") },
		},
		{
			name: "circles", about: "The model makes the same call over and over: it is told so, and then the turn ends.",
			answers: slices.Repeat([]llmtest.Reply{again}, 6),
			play:    func(s *scene) { s.say("Find flour.") },
		},
		{
			name: "broken-answer", about: "The connection breaks in the middle of an answer. The rest is asked for, and joined without a repetition.",
			answers: []llmtest.Reply{
				{Chunks: []string{"Ships are mostly ", "built of st"}, Cut: true}, llmtest.Text("mostly built of steel or wood."),
			},
			play: func(s *scene) { s.say("What are ships built of?") },
		},
		{
			name: "second-model", about: "The model is overloaded. The next one of fallback_models answers.",
			answers: []llmtest.Reply{{Status: 503, Message: "overloaded"}},
			spare:   []llmtest.Reply{again, llmtest.Text("Milk and eggs.")},
			play:    func(s *scene) { s.say("What do I need?") },
		},
		{
			name: "refused", about: "The model refuses the request: nothing was shown, so the client gets an error that says why.",
			answers: []llmtest.Reply{{Status: 400, Message: "This model does not take tools."}},
			play:    func(s *scene) { s.say("Hello?") },
		},
		{
			name: "content-filter", about: "The provider's filter ends an answer. What was said stays, and calls that may not be whole do not run.",
			answers: []llmtest.Reply{{Chunks: []string{"First you"}, Calls: again.Calls, Finish: "content_filter"}},
			play:    func(s *scene) { s.say("Tell me a secret.") },
		},
	}
}
