package upstream

import (
	"bytes"
	"encoding/json"
	"strconv"
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

// IsObject reports whether a text is a JSON object.
func IsObject(text string) bool {
	raw := bytes.TrimSpace([]byte(text))
	return len(raw) > 0 && raw[0] == '{' && json.Valid(raw)
}
