package worker

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hermes/supervisor/sandbox"
	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/llm/openaichat"
	"hermes/worker/memory"
	"hermes/worker/openai"
	"hermes/worker/skills"
	"hermes/worker/store"
	"hermes/worker/tools"
)

const (
	longWindow = 16_000
	openTask   = "water the roses on Friday"
)

// gardener is a model for a long chat: it plans in its first turn, reads a file in
// every fourth, and says some sentences in all of them.
func gardener(call llmtest.Call) llmtest.Reply {
	if strings.HasPrefix(call.System(), "You write the notes") {
		return llmtest.Text("The garden was talked about, bed by bed.")
	}
	turn := 0
	fmt.Sscanf(call.LastUser(), "turn %d", &turn)
	switch {
	case turn == 1 && call.Steps() == 0:
		return llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "todo", Arguments: `{"todos":[{"id":"1","content":"` + openTask + `","status":"pending"}]}`}}}
	case turn%4 == 0 && call.Steps() == 0:
		return llmtest.Reply{Calls: []llmtest.ToolCall{{Name: "read_file", Arguments: `{"path":"garden.txt"}`}}}
	default:
		return llmtest.Text(fmt.Sprintf("answer %d: ", turn) + strings.Repeat("the beds are fine, ", 12))
	}
}

// garden is a worker without a process: its store, agent and API, and a model behind
// a real wire.
type garden struct {
	t     *testing.T
	dir   string
	model openaichat.Options
	store *store.Store
	set   *tools.Set
	api   *api.Server
}

// open starts it, or starts it again.
func (g *garden) open() {
	g.t.Helper()
	log := slog.New(slog.DiscardHandler)
	g.store = store.Open(filepath.Join(g.dir, "state.db"), store.Options{Log: log, Recover: true})
	var err error
	g.set, err = tools.NewSet(tools.Options{
		Workspace: filepath.Join(g.dir, "workspace"), Sandbox: sandbox.New(sandbox.Options{}), Tasks: g.store,
		Memory: memory.New(memory.Options{Dir: filepath.Join(g.dir, "memories")}), Skills: skills.New(filepath.Join(g.dir, "skills")),
		Enabled: []string{"todo", "read_file"}, Log: log,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	turns := agent.New(agent.Options{
		Client: llm.Retrying(llm.Options{Clients: []llm.Named{{Name: "tiny", Client: openaichat.New(g.model)}}}), Tools: g.set,
		Recorder: recorder{store: g.store}, Prompt: agent.NewPrompt(agent.PromptOptions{WorkspacePath: g.dir}), Prompts: prompts{g.store},
		Compactions: compactions{g.store}, Tasks: g.store, Log: log,
	})
	g.api = api.New(api.Options{Agent: turns, ModelName: "alice", Streaming: true, Transcripts: transcripts{g.store}, Log: log})
}

func (g *garden) close() {
	g.set.Close()
	if err := g.store.Close(); err != nil {
		g.t.Error(err)
	}
}

// A chat of 300 turns with a model of a small window, whose client sends the whole
// history each time; the worker is started anew in the middle. Nobody hears of the
// window, and the model always knows how it began and what is to be done.
func TestALongChat(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		known, turns int
	}{{"of a known window", longWindow, 300}, {"of an unknown window", 0, 100}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			up := llmtest.NewUpstream(llmtest.Windowed(longWindow, gardener))
			t.Cleanup(up.Close)
			g := &garden{t: t, dir: t.TempDir(), model: openaichat.Options{BaseURL: up.URL + "/v1", Model: "tiny", ContextLength: test.known, Streaming: true}}
			g.open()
			file := strings.Repeat("roses, tulips and a long hedge along the wall\n", 50)
			if err := os.WriteFile(filepath.Join(g.dir, "workspace", "garden.txt"), []byte(file), 0o600); err != nil {
				t.Fatal(err)
			}
			var request openai.ChatRequest
			for turn := 1; turn <= test.turns; turn++ {
				question := fmt.Sprintf("turn %d: how is the garden? %s", turn, strings.Repeat("please look, ", 10))
				request.Messages = append(request.Messages, openai.Message{Role: "user", Content: openai.TextContent(question)})
				choice := ask(t, g.api, request)
				if !strings.Contains(choice.Message.Content.String(), fmt.Sprintf("answer %d: ", turn)) {
					t.Fatalf("turn %d was answered %q", turn, choice.Message.Content.String())
				}
				request.Messages = append(request.Messages, openai.Message{Role: "assistant", Content: choice.Message.Content})
				if turn == test.turns/2 {
					g.close()
					g.open()
				}
			}
			checkLongChat(t, up.Calls(), test.turns, test.known > 0)
			checkNothingIsLost(t, g.store, test.turns, len(file))
			g.close()
		})
	}
}

// checkLongChat looks at the bodies of all requests that the model got.
func checkLongChat(t *testing.T, calls []llmtest.Call, turns int, known bool) {
	t.Helper()
	refused, summaries, anew := 0, 0, 0
	before := ""
	for _, call := range calls {
		if llmtest.Tokens(call) > longWindow {
			refused++
			continue
		}
		if len(call.Tools) == 0 {
			summaries++
			continue
		}
		var body struct {
			Messages json.RawMessage `json:"messages"`
		}
		if err := json.Unmarshal(call.Body, &body); err != nil {
			t.Fatal(err)
		}
		messages := strings.TrimSuffix(string(body.Messages), "]")
		if !strings.HasPrefix(messages, before) {
			anew++
		}
		before = messages
		turn := 0
		fmt.Sscanf(call.LastUser(), "turn %d", &turn)
		if !strings.Contains(messages, "turn 1: how is the garden?") || turn == 0 || turn > 1 && !strings.Contains(messages, openTask) {
			t.Fatalf("the request of turn %d has lost something: %.2000s", turn, messages)
		}
	}
	t.Logf("%d requests, %d refused, %d summaries, the beginning changed %d times", len(calls), refused, summaries, anew)
	switch {
	case known && refused > 0, !known && refused == 0, refused > 8:
		t.Errorf("%d requests were refused", refused)
	case summaries < 2 || summaries > turns/12:
		t.Errorf("there were %d summaries", summaries)
	case anew > turns/6:
		t.Errorf("the beginning changed %d times with %d summaries", anew, summaries)
	}
}

// checkNothingIsLost wants every message in the database as it was said.
func checkNothingIsLost(t *testing.T, s *store.Store, turns, file int) {
	t.Helper()
	sessions, err := s.Sessions(t.Context(), 10)
	if err != nil || len(sessions) != 1 {
		t.Fatalf("%d sessions, %v", len(sessions), err)
	}
	messages, err := s.Messages(t.Context(), sessions[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	count := map[llm.Role]int{}
	for _, row := range messages {
		role := llm.Role(row.Role)
		count[role]++
		said := string(row.Body) + row.Text // a result has no body
		short := strings.Contains(said, "For reference only") || strings.Contains(said, "left out to save room")
		if short || role == llm.Tool && !strings.Contains(said, openTask) && len(said) < file {
			t.Fatalf("a stored message was made short: %.500s", said)
		}
	}
	if count[llm.User] != turns || count[llm.Assistant] != turns+turns/4+1 || count[llm.Tool] != turns/4+1 {
		t.Errorf("the database has %v", count)
	}
}
