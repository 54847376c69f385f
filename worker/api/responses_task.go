package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"hermes/worker/openai"
)

// responseTask is taskOf for a request for a response: frontends that speak this
// API ask for titles and the like through it too.
func responseTask(h http.Header, request *openai.ResponsesRequest) string {
	chat := &openai.ChatRequest{Stream: request.Stream, Tools: responseOffer(request).tools}
	if request.Instructions != nil {
		chat.Messages = append(chat.Messages, openai.Message{Role: openai.RoleSystem, Content: openai.TextContent(*request.Instructions)})
	}
	for _, item := range request.Input {
		message, ok := item.(openai.MessageItem)
		if !ok {
			message.Role = openai.RoleTool // whatever it is, no person said it
		}
		content := openai.Content{Kind: openai.Parted}
		for _, part := range message.Content {
			content.Parts = append(content.Parts, openai.Part{Type: part.Type, Text: part.Text})
		}
		chat.Messages = append(chat.Messages, openai.Message{Role: message.Role, Content: content})
	}
	return taskOf(h, chat)
}

// answerResponseTask answers a task with a response that is kept nowhere.
func (s *Server) answerResponseTask(c echo.Context, p *responseRun, task string) error {
	p.passing()
	asTask(&p.turn, task)
	return s.task(c.Request().Context(), func(ctx context.Context, cancel context.CancelCauseFunc) error {
		p.cancel = cancel
		if err := p.begin(ctx); err != nil {
			return err
		}
		if p.request.Stream {
			return p.stream(ctx, c.Response())
		}
		return p.whole(ctx, c.Response())
	})
}

// passing makes the run one of a single call of the model that follows nothing
// and leaves nothing behind.
func (p *responseRun) passing() {
	stored := false
	p.request.Store = &stored
	p.opts.response.Store, p.opts.response.Background = false, false
	p.record.Conversation, p.record.PreviousID = "", ""
	p.runTurn = p.s.opts.Agent.Complete
}
