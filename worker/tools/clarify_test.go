package tools

import (
	"strings"
	"testing"
)

func TestClarify(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	long := strings.Repeat("x", 4001)
	tests := []struct {
		name      string
		arguments any
		question  string
		want      string // of a failure
	}{
		{"alone", args{"question": " Which one? "}, "Which one?", ""},
		{"choices", args{"question": "Which one?", "choices": []string{"red", " a \n blue", ""}}, "Which one?\n\n1. red\n2. a blue", ""},
		{"several choices", args{"question": "Which?", "choices": []string{"a", "b"}, "multi_select": true}, "Which?\n\n1. a\n2. b\n\nSeveral can be chosen.", ""},
		{"several of one choice", args{"question": "Go on?", "choices": []string{"a"}, "multi_select": true}, "Go on?\n\n1. a", ""},
		{"several of none", args{"question": "Which?", "multi_select": true}, "Which?", ""},
		{"one choice", `{"question":"Go on?","choices":"yes"}`, "Go on?\n\n1. yes", ""},
		{"missing", `{}`, "", "the argument question is missing"},
		{"empty", args{"question": " "}, "", "The question is empty."},
		{"long", args{"question": long}, "", "longer than 4000 characters"},
		{"five choices", args{"question": "?", "choices": []string{"a", "b", "c", "d", "e"}}, "", "There are 5 choices; offer at most 4."},
		{"long choice", args{"question": "?", "choices": []string{long[:501]}}, "", "Choice 1 is longer than 500 characters."},
		{"choices are objects", `{"question":"?","choices":[{"a":1}]}`, "", "the argument choices must be a list"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := call(t.Context(), t, set, "clarify", test.arguments)
			if got.Question != test.question || got.Failed != (test.want != "") || !strings.Contains(got.Text, test.want) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
