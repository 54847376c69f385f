package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// both is a Runner made of two functions.
type both struct{ run, complete runs }

func (b both) HasTool(name string) bool { return b.run.HasTool(name) }

func (b both) Run(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
	return b.run(ctx, turn, emit)
}

func (b both) Complete(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
	return b.complete(ctx, turn, emit)
}

const (
	titlePrompt = "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n### Guidelines:\n- …\n" +
		"### Output:\nJSON format: { \"title\": \"your concise title here\" }\n### Chat History:\n<chat_history>\nUSER: hi\n</chat_history>"
	ragPrompt = "### Task:\nRespond to the user query using the provided context, incorporating inline citations in the format [id].\n\n" +
		"### Output:\nA clear answer.\n<context>\n<source id=\"1\"><chat_history></source>\n</context>\n\nwhat does it say?"
	nextChatPrompt = "Please generate a four to five word title summarizing our conversation without any lead-in, punctuation, quotation marks, periods, symbols, bold text, or additional text. Remove enclosing quotation marks."
)

func openWebUIPrompt(second string) string {
	return "### Task:\n" + second + "\n### Guidelines:\n- …\n\n### Output:\nJSON\n### Chat History:\n<chat_history>\nUSER: hi\n</chat_history>"
}

// asking makes a request. Messages come as role, content, role, content.
func asking(stream bool, messages ...string) openai.ChatRequest {
	request := openai.ChatRequest{Model: "any", Stream: stream}
	for i := 0; i < len(messages); i += 2 {
		request.Messages = append(request.Messages, openai.Message{Role: messages[i], Content: openai.TextContent(messages[i+1])})
	}
	return request
}

func TestTasksAreToldFromMessages(t *testing.T) {
	t.Parallel()
	withImage := asking(false)
	withImage.Messages = []openai.Message{{Role: "user", Content: openai.Content{Kind: openai.Parted, Parts: []openai.Part{
		{Type: "text", Text: titlePrompt}, {Type: "image_url", ImageURL: &openai.ImageURL{URL: "https://x/y.png"}},
	}}}}
	inParts := asking(false)
	inParts.Messages = []openai.Message{{Role: "user", Content: openai.Content{Kind: openai.Parted, Parts: []openai.Part{{Type: "text", Text: titlePrompt}}}}}
	tests := []struct {
		name    string
		request openai.ChatRequest
		header  string
		task    bool
	}{
		{name: "a message", request: asking(false, "user", "hello")},
		{name: "header", request: asking(false, "user", "hello"), header: "X-OpenWebUI-Task: title_generation", task: true},
		{name: "header with a task of a later version", request: asking(true, "user", "hello"), header: "X-OpenWebUI-Task: poem_generation", task: true},
		{name: "header of another name", request: asking(true, "user", "hello"), header: "X-My-Task: follow_up_generation", task: true},
		{name: "header of another name with other words", request: asking(false, "user", "hello"), header: "X-My-Task: title"},
		{name: "header that was not filled in", request: asking(false, "user", "hello"), header: "X-OpenWebUI-Task: {{TASK}}"},
		{name: "header that was not filled in, and a title", request: asking(false, "user", titlePrompt), header: "X-OpenWebUI-Task: {{TASK}}", task: true},
		{name: "empty header decides too", request: asking(false, "user", titlePrompt), header: "X-OpenWebUI-Task:  "},

		{name: "Open WebUI: title", request: asking(false, "user", titlePrompt), task: true},
		{name: "Open WebUI: title with a system prompt", request: asking(false, "system", "Be kind.", "user", titlePrompt), task: true},
		{name: "Open WebUI: title with other line breaks", request: asking(false, "user", "\r\n"+strings.ReplaceAll(titlePrompt, "\n", "\r\n")), task: true},
		{name: "Open WebUI: title in parts", request: inParts, task: true},
		{name: "Open WebUI: tags", request: asking(false, "user", openWebUIPrompt("Generate 1-3 broad tags categorizing the main themes")), task: true},
		{name: "Open WebUI: follow-ups", request: asking(false, "user", openWebUIPrompt("Suggest 3-5 relevant follow-up questions or prompts")), task: true},
		{name: "Open WebUI: queries", request: asking(false, "user", openWebUIPrompt("Analyze the chat history to determine the necessity of generating search queries, in the given language.")), task: true},
		{name: "Open WebUI: image", request: asking(false, "user", openWebUIPrompt("Generate a detailed prompt for am image generation task")), task: true},
		{name: "Open WebUI: autocompletion", request: asking(false, "user", openWebUIPrompt("You are an autocompletion system. Continue the text")), task: true},
		{name: "Open WebUI: emoji", request: asking(false, "user", "Your task is to reflect the speaker's likely facial expression through a fitting emoji. …"), task: true},
		{name: "Open WebUI: many answers", request: asking(true, "user", "You have been provided with a set of responses from various models to the latest user query: \"hi\""), task: true},
		{name: "Open WebUI: tool choice", request: asking(false, "system", "Available Tools: []\n\nYour task is …", "user", "Query: History:\nUSER: hi"), task: true},
		{name: "Open WebUI: compaction", request: asking(false, "user", "### Task:\nSummarize the conversation history that will be compacted out of the active chat context.\n\n### Messages Being Compacted:\n…"), task: true},
		{name: "Open WebUI: memory", request: asking(false, "system", "You are Open WebUI's private memory reviewer.", "user", "…"), task: true},

		{name: "documents added to a message", request: asking(false, "user", ragPrompt)},
		{name: "documents added to a streamed message", request: asking(true, "user", ragPrompt)},
		{name: "a task that a person streams", request: asking(true, "user", titlePrompt)},
		{name: "a task in a chat", request: asking(false, "user", "hi", "assistant", "hello", "user", titlePrompt)},
		{name: "a task with an image", request: withImage},
		{name: "a person's own headline", request: asking(false, "user", "### Task:\nGenerate a concise summary of notes.md")},
		{name: "only the first line", request: asking(false, "user", "### Task:\nWrite a story.\n### Output:\nJSON")},
		{name: "an answer to a task", request: asking(false, "user", titlePrompt, "assistant", "{}")},

		{name: "LobeChat", request: asking(true, "system", "You are a professional conversation summarizer. Generate a concise title that captures", "user", "user: hi"), task: true},
		{name: "another summarizer", request: asking(true, "system", "You are a professional conversation summarizer. Be kind.", "user", "user: hi")},
		{name: "NextChat", request: asking(false, "user", "hi", "assistant", "hello", "user", nextChatPrompt), task: true},
		{name: "a person asks for a title", request: asking(true, "user", "hi", "assistant", "hello", "user", "Please generate a four to five word title summarizing our conversation")},
		{name: "Chatbox", request: asking(true, "user", "Based on the chat history, give this conversation a name.\nKeep it short"), task: true},
		{name: "the same in a chat", request: asking(true, "user", "hi", "assistant", "hello", "user", "Based on the chat history, give this conversation a name.")},
		{name: "chat-ui", request: asking(true, "system", "You are a chat thread titling assistant.\nGoal: …", "user", "hi"), task: true},
		{name: "big-AGI", request: asking(false, "system", "You are an AI conversation titles assistant who specializes in …", "user", "Analyze …"), task: true},
		{name: "LibreChat", request: asking(false, "user", "Analyze this conversation and provide:\n1. The detected language of the conversation\n2. A concise title"), task: true},
		{name: "another analysis", request: asking(false, "user", "Analyze this conversation and provide:\n1. A summary")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			body, err := json.Marshal(test.request)
			if err != nil {
				t.Fatal(err)
			}
			server := api.New(fixed(both{says("a turn"), says("a task")}))
			got := call(t, server, "POST", "/v1/chat/completions", string(body), test.header)
			if task := strings.Contains(got.body, "a task"); got.status != 200 || task != test.task {
				t.Errorf("got %d %s", got.status, got.body)
			}
			if test.request.Stream {
				checkStream(t, got.body)
			}
		})
	}
}

func TestATaskIsSmall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, fields, header, effort string
		tokens                       int
	}{
		{"title", ``, "X-OpenWebUI-Task: title_generation", "low", 2000},
		{"less", `"max_completion_tokens":1000,`, "X-OpenWebUI-Task: title_generation", "low", 1000},
		{"more", `"max_tokens":100000,`, "X-OpenWebUI-Task: title_generation", "low", 2000},
		{"effort of the client", `"reasoning_effort":"minimal",`, "X-OpenWebUI-Task: title_generation", "minimal", 2000},
		{"prose", ``, "X-OpenWebUI-Task: context_compaction", "low", 8000},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var turn agent.Turn
			server := api.New(fixed(both{complete: func(_ context.Context, got agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
				turn = got
				return answered("hi"), nil
			}}))
			got := call(t, server, "POST", "/v1/chat/completions", `{`+test.fields+`"messages":[{"role":"system","content":"s"},{"role":"user","content":"x"}]}`, test.header)
			if got.status != 200 || turn.Params.MaxTokens != test.tokens || turn.Params.ReasoningEffort != test.effort || turn.System != "s" || turn.Source != "task" {
				t.Errorf("got %d, turn %+v", got.status, turn)
			}
		})
	}
}

func TestTasksRunBesideTurns(t *testing.T) {
	t.Parallel()
	var busy atomic.Int32
	opts := fixed(both{
		run: func(ctx context.Context, _ agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
			time.Sleep(10 * time.Minute)
			return answered("long"), nil
		},
		complete: says("a title"),
	})
	opts.MaxConcurrentRuns = 1
	opts.OnBusy = func(n int) { busy.Store(int32(n)) }
	inBubble(t, opts, func(b *bubble) {
		turns := []<-chan reply{read(b.send(hello)), read(b.send(hello)), read(b.send(hello))} // one runs, two wait
		synctest.Wait()
		began := time.Now()
		got := call(b.T, b.server, "POST", "/v1/chat/completions", hello, "X-OpenWebUI-Task: title_generation")
		if got.status != 200 || !strings.Contains(got.body, "a title") || time.Since(began) != 0 || busy.Load() != 1 {
			b.Errorf("got %+v after %v while %d were busy", got, time.Since(began), busy.Load())
		}
		for _, turn := range turns {
			<-turn
		}
	})
}

func TestTasksDoNotPileUp(t *testing.T) {
	t.Parallel()
	opts := fixed(both{complete: func(ctx context.Context, _ agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
		<-ctx.Done()
		return agent.Result{}, &llm.Error{Class: llm.Network, Err: ctx.Err()}
	}})
	inBubble(t, opts, func(b *bubble) {
		request, err := json.Marshal(asking(false, "user", titlePrompt))
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		var answers []<-chan reply
		for range 5 {
			answers = append(answers, read(b.send(string(request))))
			synctest.Wait()
		}
		for i, answer := range answers {
			got := <-answer
			want, code := 502, "upstream_timeout"
			if i == 4 {
				want, code = 429, "rate_limit_exceeded"
			}
			if got.status != want || !strings.Contains(got.body, code) {
				b.Errorf("%d: got %+v", i, got)
			}
		}
		if took := time.Since(began); took != time.Minute {
			b.Errorf("took %v", took)
		}
	})
}

// A task through the Responses API that takes too long is told so like any other.
func TestASlowTaskThroughResponses(t *testing.T) {
	t.Parallel()
	hangs := both{complete: func(ctx context.Context, _ agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
		<-ctx.Done()
		return agent.Result{}, context.Cause(ctx)
	}}
	synctest.Test(t, func(t *testing.T) {
		server := api.New(fixed(hangs))
		got := call(t, server, "POST", "/v1/responses", `{"input":"x"}`, aTask)
		if got.status != 502 || got.error(t).Code != "upstream_timeout" {
			t.Errorf("status %d: %s", got.status, got.body)
		}
		got = call(t, server, "POST", "/v1/responses", `{"input":"x","stream":true}`, aTask)
		if last := lastResponse(t, got.body); last.Status != "failed" || last.Error == nil || !strings.Contains(last.Error.Message, "60 seconds") {
			t.Errorf("the stream is %s", got.body)
		}
	})
}

func TestATaskEndsWithItsClient(t *testing.T) {
	t.Parallel()
	stopped := false
	opts := fixed(both{complete: func(ctx context.Context, _ agent.Turn, _ func(agent.Event) error) (agent.Result, error) {
		<-ctx.Done()
		stopped = true
		return agent.Result{}, ctx.Err()
	}})
	opts.OnDisconnect = api.Detach
	inBubble(t, opts, func(b *bubble) {
		request, err := json.Marshal(asking(true, "user", "Based on the chat history, give this conversation a name."))
		if err != nil {
			b.Fatal(err)
		}
		client := b.send(string(request))
		answer := read(client)
		synctest.Wait()
		client.Close()
		synctest.Wait()
		if !stopped {
			b.Error("it went on")
		}
		<-answer
	})
}
