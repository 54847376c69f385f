package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"
)

// response takes answers as one object, or from a stream. A turn follows the one
// before by its id, or by the name of a conversation if the wish says so.
type response struct {
	client   openai.Client
	previous string
}

type params = responses.ResponseNewParams

func (r *response) turn(ctx context.Context, w wish, s *seen, message string) error {
	input := responses.ResponseNewParamsInputUnion{OfString: openai.String(message)}
	if w.Image != "" {
		input = items(responses.ResponseInputItemParamOfMessage(responses.ResponseInputMessageContentListParam{
			{OfInputText: &responses.ResponseInputTextParam{Text: message}},
			{OfInputImage: &responses.ResponseInputImageParam{ImageURL: openai.String(w.Image), Detail: "auto"}},
		}, "user"))
	}
	p := params{Input: input}
	if w.History == "conversation" {
		p.Conversation.OfString = openai.String("of " + w.Form)
	} else if r.previous != "" {
		p.PreviousResponseID = openai.String(r.previous)
	}
	_, err := r.ask(ctx, w, s, p)
	return err
}

func items(list ...responses.ResponseInputItemUnionParam) responses.ResponseNewParamsInputUnion {
	return responses.ResponseNewParamsInputUnion{OfInputItemList: list}
}

func (r *response) ask(ctx context.Context, w wish, s *seen, p params) (*responses.Response, error) {
	p.Model, p.Temperature = "whatever", temperature(w)
	var answer *responses.Response
	var err error
	if w.Form == "json" {
		answer, err = r.client.Responses.New(ctx, p)
	} else {
		answer, err = r.follow(ctx, w, s, p)
	}
	if err != nil || answer == nil {
		return nil, err
	}
	if answer.Status == "failed" {
		return nil, errors.New(answer.Error.Message)
	}
	done := map[string]bool{}
	for _, item := range answer.Output {
		if item.Type == "function_call_output" {
			done[item.CallID] = true
		}
	}
	s.Text, s.Finish, s.Tokens, s.Calls = answer.OutputText(), string(answer.Status), answer.Usage.TotalTokens, nil
	for _, item := range answer.Output {
		if item.Type == "function_call" && !done[item.CallID] {
			s.Calls = append(s.Calls, item.Name)
		}
	}
	r.previous = answer.ID
	return answer, nil
}

func (r *response) follow(ctx context.Context, w wish, s *seen, p params) (*responses.Response, error) {
	stream := r.client.Responses.NewStreaming(ctx, p)
	defer stream.Close()
	var last *responses.Response
	for n := int64(0); stream.Next(); n++ {
		event := stream.Current()
		if event.SequenceNumber != n {
			return nil, fmt.Errorf("event %d has the number %d", n, event.SequenceNumber)
		}
		switch event.Type {
		case "response.output_text.delta":
			s.piece(event.Delta)
		case "response.completed", "response.incomplete", "response.failed":
			last = &event.Response
		}
		if w.Leave && s.Text != "" {
			return nil, nil
		}
	}
	return last, stream.Err()
}

func (r *response) tools(ctx context.Context, w wish, s *seen) error {
	tool := responses.ToolParamOfFunction("get_weather", weather, true)
	p := params{Tools: []responses.ToolUnionParam{tool}, Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(w.Messages[0])}}
	for {
		s.Text, s.Pieces = "", 0
		answer, err := r.ask(ctx, w, s, p)
		if err != nil || len(s.Calls) == 0 {
			return err
		}
		var outputs []responses.ResponseInputItemUnionParam
		for _, item := range answer.Output {
			if item.Type != "function_call" || item.Name != "get_weather" {
				continue
			}
			call := item.AsFunctionCall()
			told, err := s.tell(call.Arguments)
			if err != nil {
				return err
			}
			output := responses.ResponseInputItemParamOfFunctionCallOutput(told)
			output.OfFunctionCallOutput.CallID = openai.String(call.CallID)
			outputs = append(outputs, output)
		}
		p.Input, p.PreviousResponseID = items(outputs...), openai.String(answer.ID)
	}
}

func (r *response) shape(ctx context.Context, w wish, s *seen) error {
	format := responses.ResponseFormatTextConfigParamOfJSONSchema("weather", measured)
	_, err := r.ask(ctx, w, s, params{
		Input: responses.ResponseNewParamsInputUnion{OfString: openai.String(w.Messages[0])},
		Text:  responses.ResponseTextConfigParam{Format: format},
	})
	if err != nil {
		return err
	}
	return parse(s, s.Text)
}
