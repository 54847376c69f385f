package api

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"unicode"

	"hermes/worker/llm"
)

// chain names a transcript, message by message, by what a client shows of it: two
// transcripts have the same name if a person who reads them would take them for
// the same. Frontends do not send back what they were sent byte by byte, so white
// space and what they add for display do not count. System messages do not count
// either, as many change with the time of day.
type chain struct{ sum [sha256.Size]byte }

// add goes on by one message.
func (c *chain) add(message llm.Message) {
	h := sha256.New()
	h.Write(c.sum[:])
	part := func(kind byte, text string) {
		var head [9]byte
		head[0] = kind
		binary.BigEndian.PutUint64(head[1:], uint64(len(text)))
		h.Write(head[:])
		h.Write([]byte(text))
	}
	part('r', string(message.Role))
	part('t', visible(message.Role, message.Text()))
	for _, p := range message.Parts {
		if p.ImageURL != "" {
			part('i', p.ImageURL)
		}
	}
	for _, call := range message.ToolCalls {
		part('c', call.ID) // some clients write the arguments anew
	}
	part('a', message.ToolCallID)
	h.Sum(c.sum[:0])
}

// visible is what of a text counts in a chain.
func visible(role llm.Role, text string) string {
	switch role {
	case llm.Assistant:
		text = withoutThoughts(stripShown(text))
	case llm.User:
		text = withoutDocuments(text)
	case llm.System, llm.Tool:
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, text)
}

// withoutDocuments returns what a person wrote of a message to which Open WebUI
// has added documents. It does that to the last message only: in the next request
// the same message comes as it was written.
func withoutDocuments(text string) string {
	if !strings.HasPrefix(strings.TrimSpace(text), "### Task:") {
		return text
	}
	begin := strings.Index(text, "<context>")
	end := strings.LastIndex(text, "</context>")
	if begin < 0 || end < begin {
		return text
	}
	rest := text[end+len("</context>"):]
	if _, query, ok := strings.Cut(rest, "<user_query>"); ok {
		rest, _, _ = strings.Cut(query, "</user_query>")
	}
	if strings.TrimSpace(rest) == "" {
		return text
	}
	return rest
}
