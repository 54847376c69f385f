package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// resumeNote asks a model to go on with an answer whose connection broke.
const resumeNote = "Your answer above was cut off by a broken connection; the person has read it up to there. " +
	"Go on with exactly the next character (a space or line break, if one is due), without an introduction and without repeating anything."

const (
	// minOverlap is how many bytes must be the same at the end of a text and at
	// the beginning of its continuation to be taken for a repetition: enough
	// that words which merely occur twice are not lost.
	minOverlap = 16
	// minRestart is how many bytes of the same beginning mean that the model has
	// begun anew.
	minRestart = 64
	// overlapWindow is how far back a repetition is looked for.
	overlapWindow = 2 << 10
)

// errRestarted says that a continuation tells the whole answer again in other
// words, which cannot be joined to what was shown.
var errRestarted = errors.New("the model began its answer anew")

// seam joins a continuation to the text that was shown before: what the
// continuation repeats at its beginning is left out.
type seam struct {
	shown string
	held  string // of the continuation, not handed out yet
	open  bool   // the joint has been found; all passes
}

// take takes in a piece of the continuation, a JSON string literal, and returns
// the literal to hand out, which may be empty.
func (s *seam) take(literal []byte) ([]byte, error) {
	if s.open || len(literal) <= 2 {
		return literal, nil
	}
	var piece string
	if err := json.Unmarshal(literal, &piece); err != nil {
		return nil, err
	}
	s.held += piece
	if s.mayRepeat() {
		return nil, nil
	}
	return s.end()
}

// mayRepeat reports whether all that is held may still turn out to be a
// repetition.
func (s *seam) mayRepeat() bool {
	return strings.HasPrefix(s.shown, s.held) || strings.Contains(s.window(), s.held) && len(s.held) < len(s.window())
}

// window is the end of what was shown.
func (s *seam) window() string { return s.shown[max(0, len(s.shown)-overlapWindow):] }

// end decides what of the held text is new, and opens the seam.
func (s *seam) end() ([]byte, error) {
	s.open = true
	held := s.held
	s.held = ""
	switch {
	case held == "":
		return nil, nil
	case strings.HasPrefix(held, s.shown):
		held = held[len(s.shown):]
	default:
		same := 0
		for same < min(len(held), len(s.shown)) && held[same] == s.shown[same] {
			same++
		}
		if same >= minRestart {
			return nil, errRestarted
		}
		held = held[overlap(s.window(), held):]
	}
	if held == "" {
		return nil, nil
	}
	var literal bytes.Buffer
	encoder := json.NewEncoder(&literal)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(held); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(literal.Bytes()), nil
}

// overlap is how many bytes at the end of before are those at the beginning of
// after, as far as that is no accident.
func overlap(before, after string) int {
	for n := min(len(before), len(after)); n >= minOverlap; n-- {
		if strings.HasSuffix(before, after[:n]) {
			return n
		}
	}
	return 0
}

// mayResume reports whether an answer that broke off can be asked for the rest
// of it. An answer in a format cannot: what constrains it begins anew.
func (c *call) mayResume(failed *Error) bool {
	return c.shown && !c.resumed && failed.Class == Network && len(c.req.ResponseFormat) == 0
}

// resume turns the call into one for the rest of the answer. Where only thinking
// was shown, that is all of the answer.
func (c *call) resume(failed *Error, message Message) {
	c.resumed, c.shown, c.broke = true, false, failed
	c.partial = Message{Reasoning: message.Reasoning, Usage: message.Usage}
	text := message.Text()
	if text == "" {
		return
	}
	c.partial.Parts = []Part{{Text: text}}
	c.seam = &seam{shown: text}
	c.text.WriteString(text)
	c.req.Messages = append(slices.Clip(c.req.Messages), TextMessage(Assistant, text), TextMessage(User, resumeNote))
}

// note keeps a text that went out.
func (c *call) note(literal []byte) error {
	if c.seam == nil {
		return nil
	}
	var text string
	if err := json.Unmarshal(literal, &text); err != nil {
		return err
	}
	c.text.WriteString(text)
	return nil
}

// joined takes the end of an attempt. It hands out what the seam still holds,
// takes silence for the end of an answer of which only the last event was lost,
// and gives a continuation that does not fit the error of the break.
func (c *call) joined(message Message, err error) (Message, error) {
	if c.seam == nil || c.emitErr != nil {
		return message, err
	}
	if ClassOf(err) == Empty {
		message.Finish, err = FinishStop, nil
	}
	if err == nil && !c.seam.open {
		var literal []byte
		if literal, err = c.seam.end(); err == nil && len(literal) > 0 {
			err = c.pass(Text{JSON: literal})
		}
	}
	if errors.Is(err, errRestarted) {
		c.shown = true // and so it ends here
		return message, c.broke
	}
	return message, err
}

// whole joins what came before a break to what came after it. What a provider
// wants back of its own is left out of a joined text: it would not fit.
func (c *call) whole(message Message) Message {
	if !c.resumed {
		return message
	}
	message.Reasoning = c.partial.Reasoning + message.Reasoning
	message.Usage = c.partial.Usage.Add(message.Usage)
	if c.seam != nil {
		message.Extras = nil
		message.Parts = []Part{{Text: c.text.String()}}
	}
	return message
}
