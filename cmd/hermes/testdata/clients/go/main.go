// Command clients does with the official Go library what harness.mjs describes:
// its argument says with which API, chat or responses.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/ssestream"
)

type wish struct {
	Do, Form, BaseURL, Key, Image, History string
	Messages                               []string
	Temperature                            *float64
	Retries                                int
	Abort, Leave                           bool
}

type seen struct {
	Text   string   `json:"text"`
	Texts  []string `json:"texts"`
	Pieces int      `json:"pieces"`
	Finish string   `json:"finish"`
	Tokens int64    `json:"tokens"`
	Calls  []string `json:"calls"`
	Ran    []string `json:"ran"`
	Parsed any      `json:"parsed"`
	Error  *failure `json:"error"`
}

type failure struct {
	Name    string `json:"name"`
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Param   string `json:"param"`
	Message string `json:"message"`
}

// api is one of the two, with a transcript of its own.
type api interface {
	turn(ctx context.Context, w wish, s *seen, message string) error
	tools(ctx context.Context, w wish, s *seen) error
	shape(ctx context.Context, w wish, s *seen) error
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var w wish
		if err := json.Unmarshal(lines.Bytes(), &w); err != nil {
			panic(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		aborted := make(chan struct{})
		go func() {
			defer close(aborted)
			if w.Abort && lines.Scan() {
				cancel()
			}
		}()
		var s seen
		if err := do(ctx, w, &s); err != nil {
			s.Error = describe(err)
		}
		<-aborted
		cancel()
		line, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}

func do(ctx context.Context, w wish, s *seen) error {
	client := openai.NewClient(option.WithBaseURL(w.BaseURL), option.WithAPIKey(w.Key), option.WithMaxRetries(w.Retries))
	var a api = &chat{client: client}
	if os.Args[1] == "responses" {
		a = &response{client: client}
	}
	switch w.Do {
	case "tools":
		return a.tools(ctx, w, s)
	case "shape":
		return a.shape(ctx, w, s)
	}
	for _, message := range w.Messages {
		s.Text, s.Pieces = "", 0
		if err := a.turn(ctx, w, s, message); err != nil {
			return err
		}
		s.Texts = append(s.Texts, s.Text)
	}
	return nil
}

// describe tells of an error what a program can read of it.
func describe(err error) *failure {
	f := &failure{Name: fmt.Sprintf("%T", err), Message: err.Error()}
	if refused, ok := errors.AsType[*openai.Error](err); ok {
		return &failure{Name: "openai.Error", Status: refused.StatusCode, Code: refused.Code, Param: refused.Param, Message: refused.Message}
	}
	if broken, ok := errors.AsType[*ssestream.StreamError](err); ok {
		var event struct{ Error struct{ Code string } }
		json.Unmarshal(broken.Event.Data, &event) //nolint:errcheck // what is no JSON has no code
		f.Name, f.Code = "ssestream.StreamError", event.Error.Code
	}
	if errors.Is(err, context.Canceled) {
		f.Name = "context.Canceled"
	}
	return f
}

func (s *seen) piece(text string) {
	if text != "" {
		s.Text += text
		s.Pieces++
	}
}

// weather is the one tool that the client has.
var weather = map[string]any{
	"type": "object", "properties": map[string]any{"city": map[string]any{"type": "string"}}, "required": []string{"city"}, "additionalProperties": false,
}

func (s *seen) tell(arguments string) (string, error) {
	var args struct{ City string }
	if err := json.Unmarshal([]byte(arguments), &args); err != nil {
		return "", err
	}
	s.Ran = append(s.Ran, args.City)
	return "sunny in " + args.City, nil
}

// measured is the shape of an answer.
var measured = map[string]any{
	"type": "object", "required": []string{"city", "degrees"}, "additionalProperties": false,
	"properties": map[string]any{"city": map[string]any{"type": "string"}, "degrees": map[string]any{"type": "number"}},
}

func parse(s *seen, text string) error {
	return json.NewDecoder(strings.NewReader(text)).Decode(&s.Parsed)
}

func temperature(w wish) param.Opt[float64] {
	if w.Temperature == nil {
		return param.Opt[float64]{}
	}
	return openai.Float(*w.Temperature)
}
