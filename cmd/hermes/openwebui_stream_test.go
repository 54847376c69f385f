package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// lineLimit is how long a line may be before aiohttp gives up on the answer.
	lineLimit = 128 << 10
	// linePromise is what hermes promises of completions.
	linePromise = 64 << 10
)

// streamReader reads a stream as Open WebUI does.
type streamReader struct {
	t         *testing.T
	message   *webMessage
	prior     int // items of an answer that is gone on with
	responses bool

	doneAt time.Time // of [DONE], or of the last event of a response
	usages int
}

// read reads until the end of the body, whatever was said before.
func (s *streamReader) read(ctx context.Context, body io.Reader) {
	lines := bufio.NewReaderSize(body, lineLimit)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case ctx.Err() != nil: // Stop was pressed; what came is kept
			s.clean()
			return
		case errors.Is(err, io.EOF) && len(line) == 0:
			s.finish()
			return
		case err != nil:
			// What came of the answer is lost: it is kept at its end only.
			s.t.Errorf("the stream broke: %v after %d bytes of a line", err, len(line))
			s.message.output, s.message.failure = nil, err.Error()
			return
		}
		if len(line) > linePromise && !s.responses { // whose last event holds all
			s.t.Errorf("a line has %d bytes, more than %d", len(line), linePromise)
		}
		s.line(bytes.TrimSpace(line))
	}
}

func (s *streamReader) line(line []byte) {
	data, found := bytes.CutPrefix(line, []byte("data:"))
	if !found { // comments and names of events are passed over, a bare error is shown
		var bare struct{ Error any }
		if json.Unmarshal(line, &bare) == nil && bare.Error != nil {
			s.fail(bare.Error)
		}
		return
	}
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		s.doneAt = time.Now()
		return
	}
	var chunk object
	if err := json.Unmarshal(data, &chunk); err != nil {
		s.t.Errorf("a chunk is thrown away: %v in %.200s", err, data)
		return
	}
	s.message.mu.Lock()
	defer s.message.mu.Unlock()
	if event, ok := chunk["event"]; ok {
		s.emit(event)
	}
	if kind, _ := chunk["type"].(string); strings.HasPrefix(kind, "response.") {
		s.response(kind, chunk)
		return
	}
	s.chunk(chunk)
}

// chunk takes in a chunk of chat completions.
func (s *streamReader) chunk(chunk object) {
	if usage, _ := chunk["usage"].(object); len(usage) > 0 {
		s.count(usage)
	}
	choices, _ := chunk["choices"].([]any)
	if len(choices) == 0 {
		if failure := chunk["error"]; failure != nil {
			s.show(failure)
		}
		return
	}
	choice, _ := choices[0].(object)
	delta, ok := choice["delta"].(object)
	if !ok {
		s.t.Errorf("a chunk has no delta and is thrown away: %v", chunk)
		return
	}
	if delta["tool_calls"] != nil {
		s.t.Errorf("Open WebUI tries to run %v by itself", delta["tool_calls"])
	}
	if text, _ := delta["content"].(string); text != "" {
		s.say(text)
	}
	for _, key := range []string{"reasoning_content", "reasoning", "thinking"} {
		if text, _ := delta[key].(string); text != "" {
			s.think(text)
			break
		}
	}
}

// emit acts upon an event. Only these types are ones that hermes sends; among the
// others are some that run scripts in the person's page.
func (s *streamReader) emit(event any) {
	encoded, err := json.Marshal(event)
	if err != nil {
		s.t.Error(err)
		return
	}
	var known struct {
		Type string
		Data json.RawMessage
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&known); err != nil || known.Type != "status" {
		s.t.Errorf("an event that is not hermes's: %s", encoded)
		return
	}
	var status webStatus
	decoder = json.NewDecoder(bytes.NewReader(known.Data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&status); err != nil || status.Description == "" {
		s.t.Errorf("a status that shows nothing: %s", encoded)
	}
	s.message.statuses = append(s.message.statuses, status)
}

// count adds the token counts of a chunk to those before, as Open WebUI does.
func (s *streamReader) count(usage object) {
	s.usages++
	for key, value := range usage {
		if number, ok := value.(float64); ok {
			s.message.usage[key] += number
		}
	}
}

func (s *streamReader) fail(failure any) {
	s.message.mu.Lock()
	defer s.message.mu.Unlock()
	s.show(failure)
}

// show shows an error. The answer goes on.
func (s *streamReader) show(failure any) {
	s.message.failure = "an error without a message"
	if failure, _ := failure.(object); failure != nil {
		if text, _ := failure["message"].(string); text != "" {
			s.message.failure = text
		}
	}
}

// item makes the last item of the answer, of a kind that text can be added to.
func (s *streamReader) item(kind string) object {
	output := s.message.output
	if len(output) == s.prior || output[len(output)-1]["type"] != kind {
		s.message.output = append(output, object{"type": kind, "content": []any{object{"type": "output_text", "text": ""}}})
	}
	return s.message.output[len(s.message.output)-1]
}

func (s *streamReader) say(text string) { addText(s.item("message"), text) }

// think adds to the thoughts. Those that come after text are put before it.
func (s *streamReader) think(text string) {
	output := s.message.output
	at := slices.IndexFunc(output[s.prior:], func(item object) bool { return item["type"] == "message" })
	if at < 0 {
		addText(s.item("reasoning"), text)
		return
	}
	at += s.prior
	if at == s.prior || output[at-1]["type"] != "reasoning" {
		thought := object{"type": "reasoning", "content": []any{object{"type": "output_text", "text": ""}}}
		s.message.output = slices.Insert(output, at, thought)
		at++
	}
	addText(s.message.output[at-1], text)
}

// part is the last part of an item's content.
func part(item object) object {
	content, _ := item["content"].([]any)
	if len(content) == 0 {
		return object{}
	}
	last, _ := content[len(content)-1].(object)
	return last
}

func addText(item object, text string) {
	last := part(item)
	before, _ := last["text"].(string)
	last["text"] = before + text
}

// finish checks the end of a stream.
func (s *streamReader) finish() {
	if s.doneAt.IsZero() {
		s.t.Error("the stream ended without its end mark")
	} else if late := time.Since(s.doneAt); late > promise(5*time.Second) {
		s.t.Errorf("the body ended %s after the stream: so long the answer is not saved", late)
	}
	if s.usages > 1 {
		s.t.Errorf("the token counts came %d times and were added up", s.usages)
	}
	s.clean()
	s.message.mu.Lock()
	defer s.message.mu.Unlock()
	s.message.ended = true
	s.checkCalls()
	if n := len(s.message.statuses); n > 0 && !s.message.statuses[n-1].Done {
		s.t.Errorf("the status %q shimmers for ever", s.message.statuses[n-1].Description)
	}
}

// thinkTags are the tags in a text that Open WebUI takes for thoughts.
var thinkTags = regexp.MustCompile(`<(think|thinking|reason|reasoning|thought|Thought)(?:\s.*?)?>|<\|begin_of_(thought)\|>|◁(think)▷`)

// clean takes thoughts out of the texts of a completion, and white space from the
// end of the answer.
func (s *streamReader) clean() {
	s.message.mu.Lock()
	defer s.message.mu.Unlock()
	if !s.responses {
		output := s.message.output
		s.message.output = slices.Clone(output[:s.prior])
		for _, item := range output[s.prior:] {
			s.message.output = append(s.message.output, withoutThoughts(item)...)
		}
	}
	if n := len(s.message.output); n > s.prior && s.message.output[n-1]["type"] == "message" {
		last := part(s.message.output[n-1])
		said, _ := last["text"].(string)
		if last["text"] = strings.TrimSpace(said); last["text"] == "" {
			s.message.output = s.message.output[:n-1]
		}
	}
}

// withoutThoughts makes items of their own of the thoughts in a text.
func withoutThoughts(item object) []object {
	rest, _ := part(item)["text"].(string)
	match := thinkTags.FindStringSubmatchIndex(rest)
	if item["type"] != "message" || match == nil {
		return []object{item}
	}
	var items []object
	for ; match != nil; match = thinkTags.FindStringSubmatchIndex(rest) {
		closing := "◁/think▷"
		if match[2] >= 0 {
			closing = "</" + rest[match[2]:match[3]] + ">"
		} else if match[4] >= 0 {
			closing = "<|end_of_thought|>"
		}
		if before := rest[:match[0]]; strings.TrimSpace(before) != "" {
			items = append(items, textItem("message", before))
		}
		thought, after, _ := strings.Cut(rest[match[1]:], closing) // one that is not closed goes on to the end
		items = append(items, textItem("reasoning", thought))
		rest = strings.TrimSpace(after)
	}
	return append(items, textItem("message", rest))
}

func textItem(kind, text string) object {
	return object{"type": kind, "content": []any{object{"type": "output_text", "text": text}}}
}
