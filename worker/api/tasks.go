package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"hermes/worker/agent"
	"hermes/worker/openai"
)

const (
	// taskHeader is the header, in its canonical form, in which Open WebUI can be
	// set to name the task of a request ({{TASK}}; nothing for a real message).
	taskHeader = "X-Openwebui-Task"
	// maxTasks is how many tasks run at once. They have places of their own:
	// each turn of a chat sends one or two beside it.
	maxTasks = 4
	// taskTimeout bounds a task with its wait for a place. Frontends show nothing
	// of it and do not wait for long.
	taskTimeout = 60 * time.Second
	// taskTokens bounds the answers of most tasks, which are a line of text,
	// with room for a little thinking; longTaskTokens those that are prose.
	taskTokens     = 2000
	longTaskTokens = 8000
	// taskEffort asks for little thinking.
	taskEffort = "low"
)

// errTaskTime ends a task that takes too long.
var errTaskTime = errors.New("the task took too long")

// taskNames are what Open WebUI calls its tasks.
func taskNames() []string {
	return []string{
		"title_generation", "tags_generation", "follow_up_generation", "query_generation", "image_prompt_generation",
		"autocomplete_generation", "emoji_generation", "moa_response_generation", "function_calling", "context_compaction", "memory_review",
	}
}

// taskOf returns what a frontend asks on its own account, such as the title of a
// chat, by the name that Open WebUI has for it, and "" for a message of a person.
// A header decides where there is one, else the shape of the request.
func taskOf(h http.Header, request *openai.ChatRequest) string {
	if values, ok := h[taskHeader]; ok && len(values) > 0 && !strings.Contains(values[0], "{{") { // versions before 0.10 do not fill it in
		return strings.TrimSpace(values[0])
	}
	for name, values := range h { // an admin may have chosen another name
		if strings.HasPrefix(name, "X-") && len(values) == 1 && slices.Contains(taskNames(), values[0]) {
			return values[0]
		}
	}
	return taskByShape(request)
}

// taskByShape knows a task by the words that frontends put it in.
func taskByShape(request *openai.ChatRequest) string {
	s := spokenOf(request.Messages)
	if len(s.user) == 0 {
		return ""
	}
	first, last := s.user[0], s.user[len(s.user)-1]
	lone := len(s.user) == 1 && !s.answered
	switch {
	case lone && !request.Stream && len(request.Tools) == 0 && openWebUITask(s.system, first) != "":
		return openWebUITask(s.system, first)
	case lone && strings.HasPrefix(first, "You have been provided with a set of responses from various models to the latest user query"):
		return "moa_response_generation" // Open WebUI, streamed if the person likes it so
	case lone && opensWith(s.system,
		"You are a professional conversation summarizer. Generate a concise title", // LobeChat
		"You are a chat thread titling assistant.",                                 // chat-ui
		"You are an AI conversation titles assistant"),                             // big-AGI
		lone && opensWith(first,
			"Based on the chat history, give this conversation a name.",                                    // Chatbox
			"Analyze this conversation and provide:\n1. The detected language",                             // LibreChat
			"Provide a concise, 5-word-or-less title for the conversation, using title case conventions."), // LibreChat
		!lone && opensWith(last, "Please generate a four to five word title summarizing our conversation without any lead-in"): // NextChat
		return "title_generation"
	default:
		return ""
	}
}

// openWebUITask knows the default prompts of Open WebUI's tasks. Most begin with
// the line "### Task:", but so does what it makes of a person's message when it
// adds documents to it; therefore the next line must be known too, and something
// else of the prompt be there.
func openWebUITask(system, user string) string {
	switch {
	case strings.HasPrefix(user, "Your task is to reflect the speaker's likely facial expression"):
		return "emoji_generation"
	case strings.HasPrefix(system, "Available Tools:") && strings.HasPrefix(user, "Query:"):
		return "function_calling"
	case strings.HasPrefix(system, "You are Open WebUI's private memory reviewer."):
		return "memory_review"
	}
	rest, ok := strings.CutPrefix(user, "### Task:\n")
	if !ok {
		return ""
	}
	switch {
	case strings.HasPrefix(rest, "Summarize the conversation history that will be compacted") && strings.Contains(rest, "### Messages Being Compacted:"):
		return "context_compaction"
	case !strings.Contains(rest, "<chat_history>") && !strings.Contains(rest, "### Output:"):
		return ""
	}
	for _, prompt := range []struct{ begins, task string }{
		{"Generate a concise", "title_generation"},
		{"Generate 1-3 broad tags", "tags_generation"},
		{"Suggest 3-5 relevant follow-up questions", "follow_up_generation"},
		{"Analyze the chat history to determine the necessity of generating search queries", "query_generation"},
		{"Generate a detailed prompt for am image generation", "image_prompt_generation"}, // their spelling
		{"Generate a detailed prompt for an image generation", "image_prompt_generation"},
		{"You are an autocompletion system", "autocomplete_generation"},
	} {
		if strings.HasPrefix(rest, prompt.begins) {
			return prompt.task
		}
	}
	return ""
}

// spoken is what a task is known by.
type spoken struct {
	system   string   // the first system message
	user     []string // each without white space around it; those that hold more than text are left out
	answered bool     // there are messages that are no person's
}

func spokenOf(messages []openai.Message) spoken {
	var s spoken
	for _, message := range messages {
		text := strings.TrimSpace(strings.ReplaceAll(message.Content.String(), "\r\n", "\n"))
		switch message.Role {
		case openai.RoleSystem, openai.RoleDeveloper:
			if s.system == "" {
				s.system = text
			}
		case openai.RoleUser:
			if slices.ContainsFunc(message.Content.Parts, func(p openai.Part) bool { return p.Type != openai.PartText && p.Type != openai.PartInputText }) {
				text = ""
			}
			s.user = append(s.user, text)
		default:
			s.answered = true
		}
	}
	return s
}

func opensWith(text string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(text, prefix) })
}

// asTask bounds a turn that is a task: little thinking, a short answer.
func asTask(turn *agent.Turn, task string) {
	limit := taskTokens
	switch task {
	case "moa_response_generation", "context_compaction", "memory_review":
		limit = longTaskTokens
	}
	if turn.Params.MaxTokens == 0 || turn.Params.MaxTokens > limit {
		turn.Params.MaxTokens = limit
	}
	if turn.Params.ReasoningEffort == "" {
		turn.Params.ReasoningEffort = taskEffort
	}
	turn.Source = "task"
}

// task answers what a frontend asks on its own account: see taskOf. It neither
// waits for turns nor counts as one, and ends when its client goes.
func (s *Server) task(client context.Context, answer func(ctx context.Context, cancel context.CancelCauseFunc) error) error {
	if err := s.withinQuota(client); err != nil {
		return err
	}
	ctx, cancel, done := s.turns.begin(client)
	defer done()
	timer := time.AfterFunc(taskTimeout, func() { cancel(errTaskTime) })
	defer timer.Stop()
	leave, err := s.enterTask(ctx)
	if err != nil {
		return err
	}
	defer leave()
	return answer(ctx, cancel)
}

// enterTask waits for one of the places of tasks. They wait for each other and
// for no turn.
func (s *Server) enterTask(ctx context.Context) (leave func(), err error) {
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case s.tasks <- struct{}{}:
		return func() { <-s.tasks }, nil
	case <-ctx.Done():
		if errors.Is(context.Cause(ctx), errShutdown) {
			return nil, shuttingDown()
		}
		return nil, errGone
	case <-timer.C:
		f := refused(http.StatusTooManyRequests, openai.TypeRateLimit, codeRateLimit,
			"%d background requests run at once, and no place became free. Try again later.", maxTasks)
		f.retryAfter = queueRetry
		return nil, f
	}
}

// taskTooSlow is the answer to a task whose model took too long.
func taskTooSlow() *failure {
	f := refused(http.StatusBadGateway, openai.TypeUpstream, "upstream_timeout",
		"The model did not answer this background request within %d seconds.", int(taskTimeout.Seconds()))
	f.final = true
	return f
}
