package worker

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/memory"
	"hermes/worker/store"
)

// A session keeps the bytes of its prompt while memory, files and the date change,
// also across a restart; the next session has what is new.
func TestASessionKeepsItsPrompt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Date(2026, 11, 23, 4, 5, 6, 7, time.UTC)
	remembered := memory.New(memory.Options{Dir: filepath.Join(dir, "memories")})
	ask := func(session, client string) string {
		t.Helper()
		database := store.Open(filepath.Join(dir, "state.db"), store.Options{}) // each time anew
		defer database.Close()
		model := llmtest.NewScript(llmtest.Answer{Text: []string{"yes"}})
		turns := agent.New(agent.Options{
			Client: model, Recorder: recorder{store: database}, Prompts: prompts{database},
			Prompt: agent.NewPrompt(agent.PromptOptions{
				SoulPath: filepath.Join(dir, "SOUL.md"), WorkspacePath: dir, Memory: remembered.Snapshot, Now: func() time.Time { return now },
			}),
		})
		_, err := turns.Run(t.Context(), agent.Turn{
			SessionID: session, System: client, History: []llm.Message{llm.TextMessage(llm.User, "hi")},
		}, func(agent.Event) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		return model.Requests()[0].Messages[0].Text()
	}
	first := ask("one", "")
	for name, text := range map[string]string{"SOUL.md": "You are Marvin.", "AGENTS.md": "Use tabs."} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := remembered.Apply(t.Context(), memory.User, []memory.Operation{{Action: "add", Content: "Likes tea."}}); err != nil {
		t.Fatal(err)
	}
	now = now.AddDate(0, 0, 1)
	if again := ask("one", ""); again != first {
		t.Errorf("the session has another prompt now:\n%s", again)
	}
	if got, want := ask("one", "Rhyme."), first+"\n\n# Instructions for this conversation\n\nRhyme."; got != want {
		t.Errorf("with instructions of the client the prompt is\n%s", got)
	}
	want := agent.NewPrompt(agent.PromptOptions{
		SoulPath: filepath.Join(dir, "SOUL.md"), WorkspacePath: dir, Memory: remembered.Snapshot, Now: func() time.Time { return now },
	}).Text("")
	if second := ask("two", ""); second != want || second == first {
		t.Errorf("a new session has\n%s\nwant\n%s", second, want)
	}
}
