package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"hermes/worker/llm"
)

// The limits of a question.
const (
	maxChoices       = 4
	maxQuestionRunes = 4000
	maxChoiceRunes   = 500
)

// clarify is the tool that ends a turn with a question.
type clarify struct{ spec llm.ToolSpec }

func newClarify() *clarify { return &clarify{mustSpec("clarify")} }

func (t *clarify) Spec() llm.ToolSpec { return t.spec }

func (t *clarify) Emoji() string { return "❓" }

// clarifyArguments are the arguments of clarify.
type clarifyArguments struct {
	Question    string   `json:"question"`
	Choices     []string `json:"choices"`
	MultiSelect bool     `json:"multi_select"`
}

func (t *clarify) Label(input json.RawMessage) string {
	arguments, err := decode[clarifyArguments](input)
	if err != nil {
		return ""
	}
	return arguments.Question
}

func (t *clarify) Run(_ context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[clarifyArguments](input)
	if err != nil {
		return Result{}, err
	}
	question := strings.TrimSpace(arguments.Question)
	var choices []string
	for _, choice := range arguments.Choices {
		if choice = strings.Join(strings.Fields(choice), " "); choice != "" {
			choices = append(choices, choice)
		}
	}
	switch {
	case question == "":
		return Failure("The question is empty."), nil
	case utf8.RuneCountInString(question) > maxQuestionRunes:
		return Failure(fmt.Sprintf("The question is longer than %d characters.", maxQuestionRunes)), nil
	case len(choices) > maxChoices:
		return Failure(fmt.Sprintf("There are %d choices; offer at most %d.", len(choices), maxChoices)), nil
	}
	var text strings.Builder
	text.WriteString(question)
	for i, choice := range choices {
		if utf8.RuneCountInString(choice) > maxChoiceRunes {
			return Failure(fmt.Sprintf("Choice %d is longer than %d characters.", i+1, maxChoiceRunes)), nil
		}
		if i == 0 {
			text.WriteByte('\n')
		}
		fmt.Fprintf(&text, "\n%d. %s", i+1, choice)
	}
	if arguments.MultiSelect && len(choices) > 1 {
		text.WriteString("\n\nSeveral can be chosen.")
	}
	return Result{Text: "The question was put to the person. Their next message is the answer.", Question: text.String()}, nil
}
