package worker

import (
	"encoding/json"

	"hermes/worker/llm/llmtest"
	"hermes/worker/openai"
)

// message is a message of a person.
func message(text string) openai.Message {
	return openai.Message{Role: "user", Content: openai.TextContent(text)}
}

// personStories are about a person, and a client, who say more than one thing.
func personStories() []story {
	colour := openai.Tool{Type: "function", Function: openai.Function{Name: "pick_colour", Parameters: json.RawMessage(`{"type":"object"}`)}}
	return []story{
		{
			name: "plain", about: "A question and an answer, and one more. Nothing of the first changes.",
			answers: []llmtest.Reply{llmtest.Text("Hello!"), {Chunks: []string{"I am ", "fine."}}},
			play:    func(s *scene) { s.say("Hi"); s.say("How are you?") },
		},
		{
			name: "responses", about: "The same with the other API: the server keeps the history, with the calls of tools in it.",
			answers: []llmtest.Reply{
				{Chunks: []string{"Let me look."}, Calls: use("read_file", `{"path":"notes.txt"}`).Calls}, llmtest.Text("Milk and eggs."), llmtest.Text("Two things."),
			},
			play: func(s *scene) { s.respond("How many?", s.respond("What do I need?", "")) },
		},
		{
			name: "clarify", about: "The model asks the person. That ends the turn, and the next message is the answer.",
			answers: []llmtest.Reply{
				use("clarify", `{"question":"Which list do you mean?","choices":["shopping","work"]}`),
				use("read_file", `{"path":"notes.txt"}`), llmtest.Text("Milk and eggs."),
			},
			play: func(s *scene) { s.say("Read my list."); s.say("shopping") },
		},
		{
			name: "tasks", about: "A list of tasks outlives the turn in which it was made.",
			answers: []llmtest.Reply{
				use("todo", `{"todos":[{"id":1,"content":"buy milk","status":"in_progress"},{"id":2,"content":"buy eggs"}]}`), llmtest.Text("I have begun."),
				use("todo", `{"merge":true,"todos":[{"id":"1","status":"completed"}]}`), llmtest.Text("Eggs are left."),
			},
			play: func(s *scene) { s.say("Plan my shopping."); s.say("The milk is bought.") },
		},
		{
			name: "memory", about: "What is remembered shows in the prompt of the next chat; that of this one stays as it is, to the byte.",
			answers: []llmtest.Reply{
				use("memory", `{"target":"user","action":"add","content":"Drinks tea without sugar."}`), llmtest.Text("I will remember."),
				llmtest.Text("Gladly."), llmtest.Text("Tea, without sugar."),
			},
			play: func(s *scene) {
				s.say("I take my tea without sugar.")
				s.say("Thank you.")
				s.newChat()
				s.say("What do I drink?")
			},
		},
		{
			name: "client-tools", about: "The client has a tool of its own. The agent's calls run, the client's is left to it, and the turn goes on with its result.",
			answers: []llmtest.Reply{
				both(use("read_file", `{"path":"notes.txt"}`), use("pick_colour", `{"for":"milk"}`)), llmtest.Text("White it is."),
			},
			play: func(s *scene) {
				s.say("Which colour has milk?", colour)
				s.result("c1b", "white", colour)
			},
		},
	}
}
