package agent_test

import (
	"context"
	"strings"
	"testing"

	"hermes/worker/llm"
	"hermes/worker/llm/llmtest"
	"hermes/worker/tools"
)

// What a tool shows goes to the model behind the words about it, and what the
// tools of one turn show is bounded.
func TestImagesOfTools(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		images, size int
		shown        int
	}{
		{"one", 1, 10, 1},
		{"several", 3, 10, 3},
		{"too many", 30, 10, 20},
		{"too large", 3, 3 << 20, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			result := tools.Result{Text: "pictures"}
			for range test.images {
				result.Images = append(result.Images, tools.Image{MIME: "image/png", Data: make([]byte, test.size)})
			}
			tool := func(context.Context, llm.ToolCall) (tools.Result, error) { return result, nil }
			s := newStage(map[string]toolFunc{"a": tool}, llmtest.Use(llm.ToolCall{ID: "c1", Name: "a", Arguments: "{}"}), llmtest.Say("ok"))
			got, err := s.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			message := got.Messages[1]
			shown, notes := 0, ""
			for _, part := range message.Parts[1:] {
				if strings.HasPrefix(part.ImageURL, "data:image/png;base64,AAAA") {
					shown++
				}
				notes += part.Text
			}
			if message.Parts[0].Text != "pictures" || shown != test.shown || (notes != "") != (shown < test.images) {
				t.Errorf("%d images are shown, noted %q", shown, notes)
			}
		})
	}
}
