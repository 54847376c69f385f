package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
)

// openWebUI stands in for Open WebUI 0.11 with one connection. It sends what
// that program sends and takes from the answers what that program takes from
// them, by the rules of its stream reader, which are stricter in some places and
// laxer in others than any SDK's. Whatever would go wrong there fails the test.
type openWebUI struct {
	t         *testing.T
	p         person
	http      *http.Client
	model     listedModel
	header    http.Header // headers that the admin has set for the connection
	responses bool        // the connection's API type
	items     bool        // answers are sent back as the items that they were, as some versions do
	// entry says that the admin has made an entry for the model, which replaces
	// what /v1/models says of it.
	entry bool
	// system is the system prompt that the person has set.
	system string
	// maxTokens is what the person has set.
	maxTokens int
}

// listedModel is what is read of an entry of /v1/models.
type listedModel struct {
	ID   string
	Name string
	Info struct {
		Meta struct {
			Capabilities map[string]bool
		}
	}
}

// The API types of a connection.
const (
	chatAPI      = "chat completions"
	responsesAPI = "responses"
)

// newOpenWebUI connects to a profile by one of the APIs.
func newOpenWebUI(t *testing.T, p person, api string) *openWebUI {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	ui := &openWebUI{t: t, p: p, http: &http.Client{Transport: transport}, header: http.Header{}, responses: api == responsesAPI}
	body, failure := ui.ask(t.Context(), http.MethodGet, "/models", nil, "")
	if failure != "" {
		t.Fatal("list models: ", failure)
	}
	var list struct{ Data []listedModel }
	if err := json.Unmarshal(readAll(t, body), &list); err != nil || len(list.Data) != 1 || list.Data[0].ID == "" || list.Data[0].Name == "" {
		t.Fatalf("list models: %+v, %v; without an id or a name, a model is not shown", list, err)
	}
	ui.model = list.Data[0]
	return ui
}

// capable reports a capability of the model, and fallback where nobody has set it.
func (ui *openWebUI) capable(name string, fallback bool) bool {
	if value, ok := ui.model.Info.Meta.Capabilities[name]; ok && !ui.entry {
		return value
	}
	return fallback
}

// ask sends a request as aiohttp does. Of an answer that is no success it returns
// what a person is shown.
func (ui *openWebUI) ask(ctx context.Context, method, path string, body any, task string) (answer io.ReadCloser, failure string) {
	ui.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, ui.p.url+"/v1"+path, bytes.NewReader(asciiJSON(ui.t, body)))
	if err != nil {
		ui.t.Fatal(err)
	}
	for name, values := range ui.header {
		req.Header[name] = []string{strings.ReplaceAll(values[0], "{{TASK}}", task)}
	}
	req.Header.Set("Authorization", "Bearer "+ui.p.key)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Python/3.12 aiohttp/3.11.11")
	req.Header.Set("Accept", "*/*")
	req.Header.Set("Accept-Encoding", "gzip, deflate, br")
	resp, err := ui.http.Do(req)
	if err != nil {
		return nil, err.Error()
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, ""
	}
	var shown struct{ Error struct{ Message string } }
	if err := json.Unmarshal(readAll(ui.t, resp.Body), &shown); err != nil || shown.Error.Message == "" {
		ui.t.Errorf("status %d without a message that is shown: the answer stays empty for ever", resp.StatusCode)
	}
	return nil, shown.Error.Message
}

func readAll(t *testing.T, body io.ReadCloser) []byte {
	t.Helper()
	defer body.Close()
	all, err := io.ReadAll(body)
	if err != nil {
		t.Error("read an answer: ", err)
	}
	return all
}

// asciiJSON encodes as Python does: nothing but ASCII.
func asciiJSON(t *testing.T, value any) []byte {
	t.Helper()
	if value == nil {
		return nil
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var ascii bytes.Buffer
	for _, r := range string(encoded) {
		switch {
		case r < 0x80:
			ascii.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&ascii, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&ascii, `\u%04x`, r)
		}
	}
	return ascii.Bytes()
}

// object is a JSON object.
type object = map[string]any

// newModels are the names for which Open WebUI takes a model to be one of
// OpenAI's newer ones, whoever serves it.
var newModels = regexp.MustCompile(`^o\d+|^gpt-[5-9]`)

// request is the body of a request for an answer to these messages.
func (ui *openWebUI) request(messages []object) object {
	body := object{"stream": true, "model": ui.model.ID}
	if ui.system != "" {
		messages = slices.Insert(messages, 0, object{"role": "system", "content": ui.system})
	}
	limit := "max_tokens"
	if newModels.MatchString(ui.model.ID) {
		limit = "max_completion_tokens"
		if messages[0]["role"] == "system" {
			messages[0]["role"] = "developer"
		}
	}
	if ui.maxTokens > 0 {
		body[limit] = ui.maxTokens
	}
	body["messages"] = messages
	if ui.capable("usage", false) {
		body["stream_options"] = object{"include_usage": true}
	}
	if ui.capable("builtin_tools", true) {
		body["tools"] = builtinTools()
	}
	return body
}

// builtinTools are tools that Open WebUI adds by itself, and more of those of a
// server of tools than any API takes; read_file comes with its terminal, and is
// the name of one of the agent's own.
func builtinTools() []object {
	names := []string{"search_web", "fetch_url", "get_current_timestamp", "read_file"}
	for i := range 150 {
		names = append(names, fmt.Sprint("server_tool_", i))
	}
	var tools []object
	for _, name := range names {
		tools = append(tools, object{"type": "function", "function": object{
			"name": name, "description": strings.Repeat("What it does. ", 100), "parameters": object{"type": "object", "properties": object{}, "required": []string{}},
		}})
	}
	return tools
}

// tasks are the prompts of what Open WebUI asks on its own account, by the name
// of the task, with the shape of the answer that it wants.
func tasks() map[string]string {
	prompt := func(what, shape string) string {
		return "### Task:\n" + what + "\n### Guidelines:\n- Write in the chat's primary language.\n\n### Output:\nJSON format: " + shape +
			"\n### Chat History:\n<chat_history>\n%s\n</chat_history>"
	}
	return map[string]string{
		"title_generation":     prompt("Generate a concise, 3-5 word title with an emoji summarizing the chat history.", `{ "title": "your concise title here" }`),
		"tags_generation":      prompt("Generate 1-3 broad tags categorizing the main themes of the chat history, along with 1-3 more specific subtopic tags.", `{ "tags": ["tag1", "tag2"] }`),
		"follow_up_generation": prompt("Suggest 3-5 relevant follow-up questions or prompts that the user might naturally ask next.", `{ "follow_ups": ["Question 1?"] }`),
	}
}

// task asks for one of the tasks and returns what came of it.
func (ui *openWebUI) task(ctx context.Context, name string, messages []object) object {
	var shown strings.Builder
	for _, message := range messages {
		fmt.Fprintf(&shown, "%s: %v\n", strings.ToUpper(fmt.Sprint(message["role"])), message["content"])
	}
	messages = []object{{"role": "user", "content": fmt.Sprintf(tasks()[name], strings.TrimSpace(shown.String()))}}
	path, body := "/chat/completions", object{"stream": false, "model": ui.model.ID, "messages": messages, "max_tokens": 1000}
	if ui.responses {
		path, body = "/responses", responsesRequest(ui.t, body)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, failure := ui.ask(ctx, http.MethodPost, path, body, name)
	if failure != "" {
		ui.t.Errorf("%s: %s", name, failure)
		return nil
	}
	content := completedText(ui.t, readAll(ui.t, answer), ui.responses)
	var made object
	begin, end := strings.Index(content, "{"), strings.LastIndex(content, "}")
	if begin < 0 || end < begin || json.Unmarshal([]byte(content[begin:end+1]), &made) != nil {
		ui.t.Errorf("%s: no JSON in the answer %q", name, content)
	}
	return made
}

// completedText is the text of an answer in one piece.
func completedText(t *testing.T, body []byte, responses bool) string {
	t.Helper()
	var whole struct {
		Choices []struct{ Message struct{ Content string } }
		Output  []object
	}
	if err := json.Unmarshal(body, &whole); err != nil {
		t.Errorf("read %s: %v", body, err)
	}
	if responses {
		return outputText(whole.Output)
	}
	if len(whole.Choices) != 1 {
		t.Errorf("the answer has %d choices, one is taken: %s", len(whole.Choices), body)
		return ""
	}
	return whole.Choices[0].Message.Content
}

// background runs tasks of a chat beside each other.
func (c *webChat) background(ctx context.Context, done *sync.WaitGroup, messages []object, names ...string) {
	for _, name := range names {
		done.Go(func() {
			made := c.ui.task(ctx, name, messages)
			c.mu.Lock()
			defer c.mu.Unlock()
			maps.Copy(c.made, made)
		})
	}
}
