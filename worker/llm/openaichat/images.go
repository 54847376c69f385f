package openaichat

import (
	"slices"

	"hermes/worker/llm"
)

// behindResults returns messages with the images of tool results in a message of
// the user behind them, since the API knows no images in a tool message. All
// results of one answer have to follow it without anything in between.
func behindResults(messages []llm.Message) []llm.Message {
	shows := func(m llm.Message) bool {
		return m.Role == llm.Tool && slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.ImageURL != "" })
	}
	if !slices.ContainsFunc(messages, shows) {
		return messages
	}
	out := make([]llm.Message, 0, len(messages)+1)
	var images []llm.Part
	for i, m := range messages {
		if shows(m) {
			text := m
			text.Parts = nil
			images = append(images, llm.Part{Text: "[This is what the result of tool call " + m.ToolCallID + " shows. It does not come from the user.]"})
			for _, p := range m.Parts {
				if p.ImageURL == "" {
					text.Parts = append(text.Parts, p)
				} else {
					images = append(images, p)
				}
			}
			m = text
		}
		out = append(out, m)
		if last := i+1 == len(messages) || messages[i+1].Role != llm.Tool; last && len(images) > 0 {
			out = append(out, llm.Message{Role: llm.User, Parts: images})
			images = nil
		}
	}
	return out
}
