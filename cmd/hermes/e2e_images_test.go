package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/png"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hermes/worker/llm/llmtest"
)

// looks is a model that reads pic.png when it is told to look. One that is blind
// refuses images, as servers of models do that take text only.
func looks(blind bool) func(llmtest.Call) llmtest.Reply {
	return func(c llmtest.Call) llmtest.Reply {
		switch last := c.Messages[len(c.Messages)-1]; {
		case blind && bytes.Contains(c.Body, []byte(`"image_url"`)):
			return llmtest.Reply{Status: http.StatusBadRequest, Message: "image input is not supported by this model"}
		case strings.HasPrefix(last.Text, "look"):
			return llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "read_file", Arguments: `{"path":"pic.png"}`}}}
		default:
			return llmtest.Text("Done.")
		}
	}
}

// put writes a file into a profile's workspace.
func (p person) put(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, "workspace", name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func tinyPicture(t *testing.T) (content []byte, encoded string) {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 7, 5))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), "data:image/png;base64," + base64.StdEncoding.EncodeToString(out.Bytes())
}

// An image that a tool showed reaches the model, in that turn and in those that
// follow, in either API and after a crash; once in each request.
func TestImagesReachTheModel(t *testing.T) {
	t.Parallel()
	m := newMachineWith(t, looks(false))
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	content, encoded := tinyPicture(t)
	alice.put(t, "pic.png", content)
	sent := func(what string) {
		t.Helper()
		calls := m.upstream.Calls()
		last := calls[len(calls)-1]
		if n := strings.Count(string(last.Body), encoded); n != 1 {
			t.Errorf("%s, the model is sent the image %d times:\n%s", what, n, last.Body)
		}
	}

	status, body := alice.answer(t, "look at pic.png")
	if status != http.StatusOK {
		t.Fatalf("got %d %s\n%s", status, body, g.printed())
	}
	sent("in a chat")
	var answer struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Choices) != 1 {
		t.Fatal(err, body)
	}
	history, err := json.Marshal(map[string]any{"messages": []map[string]string{
		{"role": "user", "content": "look at pic.png"}, {"role": "assistant", "content": answer.Choices[0].Message.Content}, {"role": "user", "content": "and now?"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if resp, body, err := alice.call(t.Context(), http.MethodPost, "/v1/chat/completions", string(history)); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err, body)
	}
	sent("in the next turn of the chat")

	first, shown := alice.respond(t, `{"input":"look at pic.png"}`)
	sent("in a response")
	if strings.Contains(shown, encoded) || !strings.Contains(shown, "pic.png is an image: png, 7 × 5 pixels") {
		t.Errorf("a client sees %s", shown)
	}
	if err := syscall.Kill(g.worker(alice), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, patience, "the next worker answers", func() bool {
		resp, _, err := alice.call(t.Context(), http.MethodPost, "/v1/responses", `{"input":"and now?","previous_response_id":"`+first.ID+`"}`)
		return err == nil && resp.StatusCode == http.StatusOK
	})
	sent("in the next response, after a crash")
	if _, again := alice.stored(t, first.ID); strings.Contains(again, encoded) {
		t.Error("the stored response shows the image")
	}
}

// A model that refuses images gets a note instead, and the turn goes on.
func TestModelsThatRefuseImages(t *testing.T) {
	t.Parallel()
	m := newMachineWith(t, looks(true))
	alice := m.create("alice")
	g := m.gateway(1, "--all")
	content, _ := tinyPicture(t)
	alice.put(t, "pic.png", content)
	for turn := range 2 {
		if status, body := alice.answer(t, "look at pic.png"); status != http.StatusOK || !strings.Contains(body, "Done.") {
			t.Fatalf("got %d %s\n%s", status, body, g.printed())
		}
		calls := m.upstream.Calls()
		if want := []int{3, 5}[turn]; len(calls) != want { // it is refused only once
			t.Errorf("after turn %d the model was asked %d times, want %d", turn, len(calls), want)
		}
		if results := calls[len(calls)-1].ToolResults(); len(results) != 1 || !strings.Contains(results[0], "pic.png is an image: png, 7 × 5 pixels") || !strings.Contains(results[0], "cannot see") {
			t.Errorf("the model reads %q", results)
		}
	}
}

// Documents in the workspace and in messages are read, PDF by a process of its own.
func TestDocumentsReachTheModel(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	alice := m.create("alice")
	m.gateway(1, "--all")
	alice.put(t, "q3.pdf", report("/Size 6"))
	word, err := os.ReadFile("../../worker/office/testdata/python-docx.docx")
	if err != nil {
		t.Fatal(err)
	}
	alice.put(t, "q3.docx", word)
	for name, want := range map[string]string{"q3.pdf": "1|Quarterly report", "q3.docx": "5|We sold 1,200 ships, größer than before."} {
		if got := alice.tool(t, name, "read_file", map[string]any{"path": name}); !strings.Contains(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
	// The same document in a message.
	body := `{"messages":[{"role":"user","content":[{"type":"text","text":"say yes"},{"type":"file","file":{"filename":"q3.docx","file_data":"` + base64.StdEncoding.EncodeToString(word) + `"}}]}]}`
	if resp, got, err := alice.call(t.Context(), http.MethodPost, "/v1/chat/completions", body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(err, got)
	}
	calls := m.upstream.Calls()
	if got := calls[len(calls)-1].LastUser(); !strings.Contains(got, "<file name=\"q3.docx\"") || !strings.Contains(got, "We sold 1,200 ships, größer than before.") {
		t.Errorf("the model was asked %q", got)
	}
}
