package upstream

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestToolName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"read_file": "read_file", " functions.read-file:0\n": "functions_read-file_0", "": "unknown", " ": "unknown", "größe": "gr__e", strings.Repeat("x", 65): strings.Repeat("x", 64),
	} {
		if got := ToolName(name); got != want {
			t.Errorf("%q became %q, want %q", name, got, want)
		}
	}
}

// Whatever a model wrote, the history holds an object.
func FuzzArguments(f *testing.F) {
	for text, want := range map[string]string{
		`{"a":1}`: `{"a":1}`, " {}\n": " {}\n", ``: `{}`, ` `: `{}`,
		`"{\"a\":1}"`: `{"a":1}`, `{"a":"x`: `{"invalid_arguments":"{\"a\":\"x"}`, `[1]`: `{"invalid_arguments":"[1]"}`, `null`: `{"invalid_arguments":"null"}`,
		`"ls"`: `{"invalid_arguments":"\"ls\""}`, "\xff": "{\"invalid_arguments\":\"\ufffd\"}",
	} {
		if got := Arguments(text); got != want {
			f.Errorf("%q became %s, want %s", text, got, want)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var object map[string]json.RawMessage
		if got := Arguments(text); json.Unmarshal([]byte(got), &object) != nil || object == nil {
			t.Errorf("%q became %s", text, got)
		}
	})
}
