package worker

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"hermes/worker/llm/llmtest"
)

// A client of chat completions keeps the history itself. After a crash it has a part
// of the answer or nothing of it, and asks something else, or the same again.
func TestKilledAtEveryCommitOfAChat(t *testing.T) {
	t.Parallel()
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	send := func(p *profile, stream bool, messages ...message) (string, error) {
		body, err := json.Marshal(map[string]any{"messages": messages, "stream": stream})
		if err != nil {
			return "", err
		}
		return p.send("POST", "/v1/chat/completions", string(body))
	}
	task := message{"user", crashTask}
	parts := map[*profile]string{} // of each answer
	var mu sync.Mutex
	crashes(t, false, func(p *profile, n int) error {
		got, err := send(p, n%3 == 0, task)
		mu.Lock()
		defer mu.Unlock()
		parts[p] = streamed(got)
		return err
	}, func(p *profile, n int) llmtest.Call {
		from := len(p.upstream.Calls())
		messages := []message{task}
		mu.Lock()
		if part := parts[p]; part != "" {
			messages = append(messages, message{"assistant", part})
		}
		mu.Unlock()
		if n%3 != 1 { // else the same again
			messages = append(messages, message{"user", "go on"})
		}
		if got, err := send(p, false, messages...); err != nil {
			t.Errorf("the next request: %v %s", err, got)
		}
		return p.upstream.Calls()[from]
	})
}

// streamed is the text in what came of a stream.
func streamed(body string) string {
	var text strings.Builder
	for line := range strings.Lines(body) {
		var chunk struct {
			Choices []struct {
				Delta struct {
					Content string `json:"content"`
				} `json:"delta"`
			} `json:"choices"`
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if ok && json.Unmarshal([]byte(data), &chunk) == nil && len(chunk.Choices) > 0 {
			text.WriteString(chunk.Choices[0].Delta.Content)
		}
	}
	return text.String()
}
