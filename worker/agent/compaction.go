package agent

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hermes/worker/llm"
)

// Compaction says how the beginning of a transcript is made short for a model. The
// transcript stays as it is: a compaction is applied to a copy, the same way in each
// request that follows, so that an upstream which caches their common beginning
// finds it. Its JSON form is what is kept.
type Compaction struct {
	// Covered is how many messages of the transcript it is about, without those of
	// the system, and Hash names them: another branch of the same chat has another
	// hash, and so another compaction.
	Covered int    `json:"covered"`
	Hash    []byte `json:"hash"`
	// Cut is where the messages begin that stay. In the place of those before it
	// stand the first message of the person, of which Head bytes are kept if it is
	// not 0, and Reference.
	Cut       int    `json:"cut,omitempty"`
	Head      int    `json:"head,omitempty"`
	Reference string `json:"reference,omitempty"`
	// Summary is the part of Reference that a model wrote, and Dropped says that
	// messages were left out without one. The next reference is made of them.
	Summary string `json:"summary,omitempty"`
	Dropped bool   `json:"dropped,omitempty"`
	// Results of tools before Short are one line each.
	Short int `json:"short,omitempty"`
	// Results before Capped that are longer than Cap bytes lose their middle.
	Capped int `json:"capped,omitempty"`
	Cap    int `json:"cap,omitempty"`
	// Blind says that those results show no images any more, nor does the person's
	// first message unless it is what is answered.
	Blind bool `json:"blind,omitempty"`
}

// Compactions keeps what was made short in each session, so that its next turn
// begins with the same bytes.
type Compactions interface {
	// Compactions returns what is kept of a session: one for each branch and length
	// of its transcript, as far as there was room for them.
	Compactions(ctx context.Context, sessionID string) ([]Compaction, error)
	// KeepCompaction keeps one more, in place of one that covers the same messages.
	KeepCompaction(ctx context.Context, sessionID string, compaction Compaction) error
}

// fits reports whether what was kept can be about a transcript, its name aside.
func (c Compaction) fits(all []llm.Message) bool {
	within := func(n, most int) bool { return n >= 0 && n <= most }
	if c.Covered < 1 || !within(c.Covered, len(all)) || !within(c.Short, c.Covered) || !within(c.Capped, c.Covered) || c.Cap < 0 || c.Head < 0 {
		return false
	}
	first := firstUser(all)
	return c.Cut == 0 || first >= 0 && first < c.Cut && within(c.Cut, min(c.Covered, len(all)-1))
}

// apply returns the messages that a model is sent of a transcript, behind those of
// the system.
func (c Compaction) apply(system, all []llm.Message) []llm.Message {
	if c.Covered == 0 {
		return slices.Concat(system, all)
	}
	view := make([]llm.Message, 0, len(system)+len(all)-c.Cut+8)
	view = append(view, system...)
	if c.Cut > 0 {
		view = append(view, c.beginning(all)...)
	}
	calls := map[string]llm.ToolCall{}
	newestTasks := newestCall(all[:max(c.Cut, c.Short)], toolTodo)
	for i := c.Cut; i < len(all); i++ {
		m := all[i]
		for _, call := range m.ToolCalls {
			calls[call.ID] = call
		}
		if m.Role == llm.Tool {
			switch call := calls[m.ToolCallID]; {
			case i < c.Short && call.Name != toolSkill && (call.ID == "" || call.ID != newestTasks):
				m = digested(m, call.Name)
			case i < c.Capped:
				m = c.capped(m)
			}
		}
		view = append(view, m)
	}
	return view
}

// Results of these tools stay in full: what a skill says holds until the work is
// done, and so does the newest list of tasks.
const (
	toolSkill = "skill_view"
	toolTodo  = "todo"
)

// beginning is what stands in the place of the messages before the cut. Roles
// alternate, as templates of some models insist: the reference is a message of the
// assistant between two of the person. Where the rest begins in the middle of a
// turn, the message that this turn answers stands in front of it.
func (c Compaction) beginning(all []llm.Message) []llm.Message {
	first := firstUser(all)
	governing := lastUser(all[:c.Cut])
	if all[c.Cut].FromPerson() {
		governing = -1
	}
	if governing == first {
		return []llm.Message{appended(all[first], c.Reference)}
	}
	opening := headOf(all[first], c.Head)
	if c.Blind {
		opening = withoutImages(opening)
	}
	view := []llm.Message{opening, llm.TextMessage(llm.Assistant, c.Reference)}
	if governing > first {
		view = append(view, all[governing])
	}
	return view
}

// firstUser is the place of the person's first message, -1 if there is none.
func firstUser(messages []llm.Message) int {
	for i := range messages {
		if messages[i].FromPerson() {
			return i
		}
	}
	return -1
}

// lastUser is the place of the person's last message, -1 if there is none.
func lastUser(messages []llm.Message) int {
	for i := range slices.Backward(messages) {
		if messages[i].FromPerson() {
			return i
		}
	}
	return -1
}

// newestCall is the id of the last call of a tool, "" if there is none.
func newestCall(messages []llm.Message, name string) string {
	for i := range slices.Backward(messages) {
		for _, call := range slices.Backward(messages[i].ToolCalls) {
			if call.Name == name {
				return call.ID
			}
		}
	}
	return ""
}

// withText returns a message with another text.
func withText(m llm.Message, text string) llm.Message {
	m.Parts = []llm.Part{{Text: text}}
	return m
}

// appended returns a message with more text at its end. Many servers take a list of
// parts only where there is an image.
func appended(m llm.Message, text string) llm.Message {
	parts := make([]llm.Part, 0, len(m.Parts)+1)
	parts = append(parts, m.Parts...)
	if n := len(parts); n > 0 && parts[n-1].ImageURL == "" {
		parts[n-1].Text += "\n\n" + text
	} else {
		parts = append(parts, llm.Part{Text: text})
	}
	m.Parts = parts
	return m
}

// digested returns a result as one line, without the images that it shows.
func digested(m llm.Message, tool string) llm.Message {
	text := digest(tool, m.Text())
	if hasImage(m) {
		text += notShown
	} else if len(text) == len(m.Text()) {
		return m
	}
	return withText(m, text)
}

// capped returns a result of which no more is left than the compaction allows.
func (c Compaction) capped(m llm.Message) llm.Message {
	if len(m.Text()) > c.Cap {
		m = headOf(m, c.Cap)
	}
	if c.Blind {
		m = withoutImages(m)
	}
	return m
}

// notShown stands in the place of images.
const notShown = "\n[What was shown here is left out to save room.]"

// withoutImages returns a message with a note in the place of its images.
func withoutImages(m llm.Message) llm.Message {
	if !hasImage(m) {
		return m
	}
	return withText(m, m.Text()+notShown)
}

func hasImage(m llm.Message) bool {
	return slices.ContainsFunc(m.Parts, func(part llm.Part) bool { return part.ImageURL != "" })
}

// headOf returns a message of which so many bytes of text are left, all if bytes is 0.
func headOf(m llm.Message, bytes int) llm.Message {
	if bytes == 0 {
		return m
	}
	cut := withText(m, cutMiddle(m.Text(), bytes))
	for _, part := range m.Parts {
		if part.ImageURL != "" {
			cut.Parts = append(cut.Parts, part)
		}
	}
	return cut
}

// cutMiddle leaves so many bytes of a text, two thirds of them at its beginning, and
// says how many are missing.
func cutMiddle(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	head, tail := bytes*2/3, bytes/3
	for head > 0 && !utf8.RuneStart(text[head]) {
		head--
	}
	from := len(text) - tail
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	return fmt.Sprintf("%s\n[… %d bytes left out to save room …]\n%s",
		strings.TrimRight(text[:head], " \n"), from-head, strings.TrimLeft(text[from:], " \n"))
}

// naming names the beginnings of a transcript by what its messages say. What a
// provider added to them does not count.
type naming struct {
	hash  hash.Hash
	count int
}

func newNaming() *naming { return &naming{hash: sha256.New()} }

// add goes on to a number of messages and returns the name of all of them.
func (n *naming) add(messages []llm.Message, upTo int) []byte {
	for ; n.count < upTo; n.count++ {
		m := messages[n.count]
		n.write(string(m.Role), m.ToolCallID, strconv.Itoa(len(m.Parts)))
		for _, part := range m.Parts {
			n.write(part.Text, part.ImageURL)
		}
		for _, call := range m.ToolCalls {
			n.write(call.ID, call.Name, call.Arguments)
		}
	}
	return n.hash.Sum(nil)
}

// write takes in texts with their lengths, so that no two lists of them are alike.
func (n *naming) write(texts ...string) {
	var head [8]byte
	for _, text := range texts {
		binary.BigEndian.PutUint64(head[:], uint64(len(text)))
		n.hash.Write(head[:])
		n.hash.Write([]byte(text))
	}
}
