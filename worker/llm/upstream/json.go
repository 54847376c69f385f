package upstream

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Absent reports whether a field is missing or null.
func Absent(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}

// IsText reports whether raw is a string literal with something in it.
func IsText(raw json.RawMessage) bool { return len(raw) > 2 && raw[0] == '"' }

// Str returns a field that should be a string; numbers come as they are written.
func Str(raw json.RawMessage) string {
	switch {
	case Absent(raw):
		return ""
	case raw[0] == '"':
		return Unquote(raw)
	default:
		return string(raw)
	}
}

// Number returns a count, or 0 when raw is none.
func Number(raw json.RawMessage) int {
	n, err := strconv.ParseFloat(string(bytes.Trim(raw, `"`)), 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0
	}
	return int(n)
}

// isObject reports whether a text is a JSON object.
func isObject(text string) bool {
	raw := bytes.TrimSpace([]byte(text))
	return len(raw) > 0 && raw[0] == '{' && json.Valid(raw)
}

// maxToolName is how long the name of a tool may be, for OpenAI.
const maxToolName = 64

// ToolName returns the name of a tool as a history may hold it. Models make names
// up, with spaces and dots in them or empty, and OpenAI and Anthropic refuse a whole
// request over one that is not of letters, digits, _ and -.
func ToolName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		default:
			return '_'
		}
	}, strings.TrimSpace(name))
	if name == "" {
		return "unknown"
	}
	return name[:min(len(name), maxToolName)]
}

// Arguments returns what a history holds as the arguments of a call: a JSON object
// always, whatever the model wrote. Templates of chats parse it, and llama.cpp and
// vLLM refuse a whole conversation over one call that they cannot read
// (llama.cpp#25510, vllm#43995). What is no object is shown as what it is.
func Arguments(text string) string {
	if isObject(text) {
		return text
	}
	var inner string
	switch err := json.Unmarshal([]byte(text), &inner); {
	case err == nil && isObject(inner): // encoded twice
		return inner
	case strings.TrimSpace(text) == "":
		return "{}"
	default:
		var e Encoder
		return string(e.Raw(`{"invalid_arguments":`).Text(text).Raw("}").B)
	}
}
