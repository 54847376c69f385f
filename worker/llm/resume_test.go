package llm_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
)

// cut is an answer whose connection breaks after the pieces.
func cut(pieces ...string) llmtest.Answer {
	return llmtest.Answer{Text: pieces, Err: &llm.Error{Class: llm.Network, Message: "cut"}}
}

// TestChainAsksForTheRestOfABrokenAnswer has what a reader gets when a
// connection breaks in the middle of a text, by what the model then says.
func TestChainAsksForTheRestOfABrokenAnswer(t *testing.T) {
	t.Parallel()
	const shown = "The ferry leaves at nine. The crossing takes two hours and"
	long := strings.Repeat("All of this was said before. ", 4)
	tests := []struct {
		name    string
		answers []llmtest.Answer
		want    string // all text that the reader saw
		err     string
		left    int
	}{
		{name: "the rest", answers: []llmtest.Answer{cut(shown), llmtest.Say(" a half.")}, want: shown + " a half."},
		{
			name: "the rest after the last words again", answers: []llmtest.Answer{cut(shown), llmtest.Say("The crossing ", "takes two hours and", " a half.")},
			want: shown + " a half.",
		},
		{name: "all of it again", answers: []llmtest.Answer{cut(shown), llmtest.Say(shown[:10], shown[10:]+" a half.")}, want: shown + " a half."},
		{name: "only what was said", answers: []llmtest.Answer{cut(shown), llmtest.Say(shown[30:])}, want: shown},
		{name: "a word that occurs twice is no repetition", answers: []llmtest.Answer{cut(shown), llmtest.Say(" and", " a half.")}, want: shown + " and a half."},
		{name: "a short text", answers: []llmtest.Answer{cut("Hel"), llmtest.Say("lo")}, want: "Hello"},
		{name: "nothing more to say", answers: []llmtest.Answer{cut(shown), {Err: &llm.Error{Class: llm.Empty}}}, want: shown},
		{name: "what is escaped", answers: []llmtest.Answer{cut("a <b> \"c\""), llmtest.Say(" & <d>\n")}, want: "a <b> \"c\" & <d>\n"},
		{
			name: "the same in other words", answers: []llmtest.Answer{cut(long + "x"), llmtest.Say(long, "yes")},
			want: long + "x", err: "a: cut",
		},
		{
			name: "the server is not back at once", want: shown + " a half.",
			answers: []llmtest.Answer{cut(shown), fails(llm.Network), llmtest.Say(" a half.")},
		},
		{
			name: "a second break", answers: []llmtest.Answer{cut(shown), cut(" a "), llmtest.Say("half.")},
			want: shown + " a ", err: "a: cut", left: 1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				chain, scripts := chainOf(upstream{"a", test.answers})
				var seen strings.Builder
				message, err := chain.Stream(t.Context(), llm.Request{Messages: []llm.Message{llm.TextMessage(llm.User, "When?")}}, func(event llm.Event) error {
					if event, ok := event.(llm.Text); ok {
						var piece string
						if err := json.Unmarshal(event.JSON, &piece); err != nil {
							t.Errorf("text %q: %v", event.JSON, err)
						}
						seen.WriteString(piece)
					}
					return nil
				})
				if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
					t.Errorf("got error %v, want %q", err, test.err)
				}
				if seen.String() != test.want || message.Text() != test.want {
					t.Errorf("the reader saw %q, the message says %q, want %q", seen.String(), message.Text(), test.want)
				}
				if scripts["a"].Left() != test.left {
					t.Errorf("%d answers are left, want %d", scripts["a"].Left(), test.left)
				}
				calls := scripts["a"].Requests()
				if asked := calls[1].Messages; len(asked) != 3 || asked[1].Role != llm.Assistant || asked[2].Role != llm.User || len(calls[0].Messages) != 1 {
					t.Errorf("the rest was asked for with %+v", asked)
				}
			})
		})
	}
}

func TestChainDoesNotResumeWhatHasAFormat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain, scripts := chainOf(upstream{"a", []llmtest.Answer{cut(`{"a":`), llmtest.Say("1}")}})
		_, err := chain.Stream(t.Context(), llm.Request{ResponseFormat: json.RawMessage(`{"type":"json_object"}`)}, func(llm.Event) error { return nil })
		if llm.ClassOf(err) != llm.Network || scripts["a"].Left() != 1 {
			t.Errorf("got %v with %d answers left", err, scripts["a"].Left())
		}
	})
}

// TestChainCountsAllFailures lets clients fail in every way that another may do
// better: each is left alone afterwards, also when it failed in the middle of an
// answer, and the end of its rest alone does not make it well.
func TestChainCountsAllFailures(t *testing.T) {
	t.Parallel()
	for _, answer := range []llmtest.Answer{
		fails(llm.RateLimit), fails(llm.Overloaded), fails(llm.Network), fails(llm.Auth), fails(llm.Billing), fails(llm.NoModel), fails(llm.Malformed),
		{Text: []string{"half"}, Err: &llm.Error{Class: llm.Overloaded}},
	} {
		synctest.Test(t, func(t *testing.T) {
			class := llm.ClassOf(answer.Err)
			a := []llmtest.Answer{answer, answer, answer, answer, answer, answer}
			b := llmtest.Say("b")
			chain, scripts := chainOf(upstream{"a", a}, upstream{"b", []llmtest.Answer{b, b, b, b}})
			ask := func() int {
				before := scripts["a"].Left()
				_, err := chain.Stream(t.Context(), llm.Request{}, func(llm.Event) error { return nil })
				if err != nil && len(answer.Text) == 0 {
					t.Errorf("%s: %v", class, err)
				}
				return before - scripts["a"].Left()
			}
			if ask() == 0 || ask() != 0 {
				t.Errorf("%s: a was not left alone after its failure", class)
			}
			time.Sleep(61 * time.Second)
			if ask() == 0 {
				t.Errorf("%s: a was not asked again after its rest", class)
			}
			time.Sleep(61 * time.Second)
			if ask() != 0 {
				t.Errorf("%s: the second rest is no longer than the first", class)
			}
		})
	}
}
