package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Why arguments cannot be read, as a clause for the model.
var (
	errNoJSON   = errors.New("its arguments are no JSON object")
	errCutShort = errors.New("its arguments are cut off in the middle; send all of them, in smaller pieces if they are long")
)

// parseArguments reads the arguments of a call as models write them: with code
// fences around, as a JSON string with the object in it, with a missing bracket
// at the end, with raw line breaks in strings. It never guesses at a value that
// is not all there.
func parseArguments(text string) (map[string]json.RawMessage, error) {
	text = unfence(text)
	if text == "" {
		return map[string]json.RawMessage{}, nil
	}
	for range 3 {
		var quoted string
		if json.Unmarshal([]byte(text), &quoted) != nil || text == "null" {
			break
		}
		text = unfence(quoted)
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) == nil {
		return fields, nil
	}
	repaired, err := repair(text)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(repaired), &fields); err != nil {
		return nil, fmt.Errorf("%w (%s)", errNoJSON, strings.TrimPrefix(err.Error(), "json: "))
	}
	return fields, nil
}

// unfence takes off space and a Markdown code fence.
func unfence(text string) string {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	rest, fenced := strings.CutPrefix(text, "```")
	if !fenced {
		return text
	}
	if word, body, ok := strings.Cut(rest, "\n"); ok && !strings.ContainsAny(word, "{}\"") {
		rest = body
	}
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "```"))
}

// repair mends the mistakes that models make in JSON.
func repair(text string) (string, error) {
	if !strings.HasPrefix(text, "{") {
		return "", errNoJSON
	}
	r := repairer{text: text}
	for r.at < len(text) {
		if text[r.at] == '"' {
			if !r.str() {
				return "", errCutShort
			}
			continue
		}
		if end, err := r.structure(); err != nil || end {
			return r.out.String(), err
		}
	}
	if rest := strings.TrimRight(text, " \t\r\n"); strings.HasSuffix(rest, ",") || strings.HasSuffix(rest, ":") {
		return "", errCutShort
	}
	for _, bracket := range slices.Backward(r.open) {
		r.out.WriteByte(bracket)
	}
	return r.out.String(), nil
}

// repairer is a repair on its way.
type repairer struct {
	text string
	at   int
	out  strings.Builder
	open []byte // the brackets that close what is open
}

// structure copies one byte that is not in a string. It reports whether the
// object has ended.
func (r *repairer) structure() (end bool, err error) {
	c := r.text[r.at]
	r.at++
	switch c {
	case '{':
		r.open = append(r.open, '}')
	case '[':
		r.open = append(r.open, ']')
	case '}', ']':
		last := len(r.open) - 1
		if r.open[last] != c {
			return false, errNoJSON
		}
		r.open = r.open[:last]
		if last == 0 {
			r.out.WriteByte(c)
			if strings.Trim(r.text[r.at:], " \t\r\n}]`;") != "" {
				return false, errors.New("its arguments are more than one JSON object; make one call for each")
			}
			return true, nil
		}
	case ',':
		rest := strings.TrimLeft(r.text[r.at:], " \t\r\n")
		if strings.HasPrefix(rest, "}") || strings.HasPrefix(rest, "]") {
			return false, nil // a comma after the last element
		}
	}
	r.out.WriteByte(c)
	return false, nil
}

// str copies a string and reports whether it has an end. Inside, control
// characters are escaped and backslashes that escape nothing are doubled, as in
// a regular expression that was pasted.
func (r *repairer) str() bool {
	r.out.WriteByte('"')
	for r.at++; r.at < len(r.text); r.at++ {
		c := r.text[r.at]
		switch {
		case c == '"':
			r.out.WriteByte(c)
			r.at++
			return true
		case c == '\\':
			if r.at++; r.at == len(r.text) {
				return false
			}
			switch next := r.text[r.at]; {
			case next == '\'':
				r.out.WriteByte(next)
			case strings.IndexByte(`"\/bfnrtu`, next) >= 0:
				r.out.Write([]byte{'\\', next})
			default:
				r.out.WriteString(`\\`)
				r.at-- // it may need an escape of its own
			}
		case c < ' ':
			fmt.Fprintf(&r.out, `\u%04x`, c)
		default:
			r.out.WriteByte(c)
		}
	}
	return false
}

// echo returns the beginning of what the model sent.
func echo(text string) string {
	const limit = 300
	if len(text) <= limit {
		return strings.ToValidUTF8(text, "\ufffd")
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.ToValidUTF8(text[:cut], "\ufffd") + "…"
}
