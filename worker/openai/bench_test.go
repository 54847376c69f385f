package openai_test

import (
	"fmt"
	"strings"
	"testing"

	"hermes/worker/openai"
)

// A long chat, as its client sends it again with each message.
func BenchmarkDecodeChatRequest(b *testing.B) {
	var messages []string
	for i := range 200 {
		role := []string{"user", "assistant"}[i%2]
		messages = append(messages, fmt.Sprintf(`{"role":%q,"content":%q}`, role, strings.Repeat("some words, and \"quotes\" ", 40)))
	}
	body := []byte(`{"model":"m","stream":true,"messages":[` + strings.Join(messages, ",") + `]}`)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := openai.DecodeChatRequest(body); err != nil {
			b.Fatal(err)
		}
	}
}
