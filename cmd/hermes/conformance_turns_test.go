package main_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"hermes/worker/llm/llmtest"
)

func (r run) text(t *testing.T) {
	got := r.chat(t, "stream 4 8")
	if want := "0 xxxxx 1 xxxxx 2 xxxxx 3 xxxxx "; got.Text != want {
		t.Errorf("text %q, want %q", got.Text, want)
	}
	if got.Tokens == 0 {
		t.Error("no usage")
	}
	if r.form != "json" && got.Pieces < 2 {
		t.Errorf("the text came in %d pieces, want it as the model said it", got.Pieces)
	}
}

// The agent's own tools are at work on the server: the client gets the answer,
// and the next turn knows what happened, whatever the client was told or sends.
func (r run) agentTools(t *testing.T) {
	for _, history := range append([]string{""}, r.histories...) {
		file := r.form + history + ".txt"
		got := r.ask(t, wish{Messages: []string{"run `echo own >> " + file + "; pwd`", "say again"}, History: history})
		r.whole(t, got)
		workspace := filepath.Join(r.person.dir, "workspace")
		if len(got.Texts) != 2 || !strings.Contains(got.Texts[0], workspace) || got.Texts[1] != "again" {
			t.Errorf("%s: the answers are %q, want one with %s and \"again\"", history, got.Texts, workspace)
		}
		if n := len(r.lines(t, file)); n != 1 {
			t.Errorf("%s: the tool ran %d times", history, n)
		}
		messages := r.lastCall().Messages
		result := slices.IndexFunc(messages, func(m llmtest.Message) bool { return m.Role == "tool" && strings.Contains(m.Text, workspace) })
		if result < 0 {
			t.Errorf("%s: the second turn does not know what the tool said: %+v", history, messages[1:])
		}
		for _, m := range messages {
			if m.Role == "assistant" && strings.Contains(m.Text, "💻") {
				t.Errorf("%s: the model is told its progress lines: %q", history, m.Text)
			}
		}
	}
}

// The model calls a tool of the agent and then one of the client, whose library
// runs it and goes on to the answer.
func (r run) clientTools(t *testing.T) {
	file := r.form + "-mixed.txt"
	got := r.ask(t, wish{Do: "tools", Messages: []string{"run `echo ran >> " + file + "`\n" + `call get_weather {"city":"Paris"}`}})
	r.whole(t, got)
	if !slices.Equal(got.Ran, []string{"Paris"}) || !strings.HasSuffix(got.Text, "\nsunny in Paris") {
		t.Errorf("the client's tool ran with %q and the answer is %q", got.Ran, got.Text)
	}
	if !slices.Equal(got.Shown, r.shows) {
		t.Errorf("the library shows the calls %q as the server's, want %q", got.Shown, r.shows)
	}
	if n := len(r.lines(t, file)); n != 1 {
		t.Errorf("the agent's tool ran %d times", n)
	}
}

func (r run) image(t *testing.T) {
	const image = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
	got := r.ask(t, wish{Messages: []string{"say nice"}, Image: image})
	r.whole(t, got)
	if got.Text != "nice" {
		t.Errorf("text %q", got.Text)
	}
	if body := string(r.lastCall().Body); !regexp.MustCompile(`"image_url":\{"url":"` + regexp.QuoteMeta(image) + `"`).MatchString(body) {
		t.Errorf("the model got no image: %.2000s", body[strings.Index(body, `"role":"user"`):])
	}
}

// An answer in a shape that the client names, read by its library.
func (r run) shape(t *testing.T) {
	got := r.ask(t, wish{Do: "shape", Messages: []string{`say {"city":"Paris","degrees":21}`}})
	if fmt.Sprint(got.Parsed) != "map[city:Paris degrees:21]" {
		t.Errorf("the library read %v, %+v", got.Parsed, got.Error)
	}
	if body := string(r.lastCall().Body); !strings.Contains(body, `"response_format":{"type":"json_schema"`) || !strings.Contains(body, `"degrees"`) {
		t.Error("the model was not told the shape")
	}
}

// What only the official library does with the responses API.
func (r run) officialResponses(t *testing.T) {
	t.Run("resume", r.resume)
	t.Run("cancel", r.cancel)
	for _, form := range r.forms {
		r.form = form
		t.Run("orphan "+form, r.orphan)
	}
}

// A response in the background goes on while nobody looks, and its stream goes on
// where it was left.
func (r run) resume(t *testing.T) {
	got := r.ask(t, wish{Do: "resume", Messages: []string{"stream 20 8 20ms"}})
	r.whole(t, got)
	var want strings.Builder
	for i := range 20 {
		fmt.Fprintf(&want, "%-7s ", fmt.Sprintf("%d ", i)+strings.Repeat("x", 8-len(fmt.Sprintf("%d ", i))-1))
	}
	if got.Begun != "in_progress" || len(got.Texts) != 2 || !strings.HasPrefix(got.Text, got.Texts[0]) || got.Texts[0] == "" {
		t.Errorf("it was %s when it was left, with %q", got.Begun, got.Texts)
	}
	if got.Text != want.String() || got.Texts[1] != want.String() {
		t.Errorf("the helper read %q, and what is stored is %q; want %q", got.Text, got.Texts, want.String())
	}
	if got.Gap != 1 {
		t.Errorf("the stream went on %d events after the last one that was seen", got.Gap)
	}
}
