package main

import (
	"context"
	"errors"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/shared"
)

// chat takes answers as one object, or from a stream through the accumulator,
// which checks how the chunks fit together.
type chat struct {
	client   openai.Client
	messages []openai.ChatCompletionMessageParamUnion
}

func (c *chat) turn(ctx context.Context, w wish, s *seen, message string) error {
	said := openai.UserMessage(message)
	if w.Image != "" {
		said = openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.TextContentPart(message), openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: w.Image}),
		})
	}
	c.messages = append(c.messages, said)
	_, err := c.ask(ctx, w, s, openai.ChatCompletionNewParams{})
	return err
}

// ask takes one answer and adds it to the transcript.
func (c *chat) ask(ctx context.Context, w wish, s *seen, params openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
	params.Model, params.Messages, params.Temperature = "whatever", c.messages, temperature(w)
	var answer *openai.ChatCompletion
	var err error
	if w.Form == "json" {
		answer, err = c.client.Chat.Completions.New(ctx, params)
	} else {
		answer, err = c.follow(ctx, w, s, params)
	}
	if err != nil || answer == nil {
		return nil, err
	}
	choice := answer.Choices[0]
	s.Text, s.Finish, s.Tokens, s.Calls = choice.Message.Content, choice.FinishReason, answer.Usage.TotalTokens, nil
	for _, call := range choice.Message.ToolCalls {
		s.Calls = append(s.Calls, call.Function.Name)
	}
	c.messages = append(c.messages, choice.Message.ToParam())
	return answer, nil
}

func (c *chat) follow(ctx context.Context, w wish, s *seen, params openai.ChatCompletionNewParams) (*openai.ChatCompletion, error) {
	params.StreamOptions.IncludeUsage = openai.Bool(true)
	stream := c.client.Chat.Completions.NewStreaming(ctx, params)
	defer stream.Close()
	var sum openai.ChatCompletionAccumulator
	for stream.Next() {
		chunk := stream.Current()
		if !sum.AddChunk(chunk) {
			return nil, errors.New("the accumulator refuses " + chunk.RawJSON())
		}
		if len(chunk.Choices) > 0 {
			s.piece(chunk.Choices[0].Delta.Content)
		}
		if w.Leave && s.Text != "" {
			return nil, nil
		}
	}
	return &sum.ChatCompletion, stream.Err()
}

func (c *chat) tools(ctx context.Context, w wish, s *seen) error {
	c.messages = append(c.messages, openai.UserMessage(w.Messages[0]))
	params := openai.ChatCompletionNewParams{Tools: []openai.ChatCompletionToolUnionParam{
		openai.ChatCompletionFunctionTool(shared.FunctionDefinitionParam{Name: "get_weather", Parameters: weather}),
	}}
	for {
		s.Text, s.Pieces = "", 0
		answer, err := c.ask(ctx, w, s, params)
		if err != nil || len(answer.Choices[0].Message.ToolCalls) == 0 {
			return err
		}
		for _, call := range answer.Choices[0].Message.ToolCalls {
			told, err := s.tell(call.Function.Arguments)
			if err != nil {
				return err
			}
			c.messages = append(c.messages, openai.ToolMessage(told, call.ID))
		}
	}
}

func (c *chat) shape(ctx context.Context, w wish, s *seen) error {
	c.messages = append(c.messages, openai.UserMessage(w.Messages[0]))
	_, err := c.ask(ctx, w, s, openai.ChatCompletionNewParams{ResponseFormat: openai.ChatCompletionNewParamsResponseFormatUnion{
		OfJSONSchema: &shared.ResponseFormatJSONSchemaParam{
			JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: "weather", Schema: measured, Strict: openai.Bool(true)},
		},
	}})
	if err != nil {
		return err
	}
	return parse(s, s.Text)
}
