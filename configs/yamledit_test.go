package configs

import (
	"errors"
	"strings"
	"testing"
)

// TestSetYAMLGolden edits files the way people write them. Every byte that is not
// the value stays.
func TestSetYAMLGolden(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, before, key, value, after string }{
		{"plain", "# top\nmodel:\n  default: old   # why\n\n  provider: auto\n", "model.default", "new", "# top\nmodel:\n  default: new   # why\n\n  provider: auto\n"},
		{"alignment", "model:\n  provider :   auto\n  default  :   old\n", "model.default", "new", "model:\n  provider :   auto\n  default  :   new\n"},
		{"double quotes", "model:\n  default: \"old\" # c\n", "model.default", "new", "model:\n  default: \"new\" # c\n"},
		{"single quotes", "model:\n  default: 'old'\n", "model.default", "it's", "model:\n  default: 'it''s'\n"},
		{"number stays a number", "agent:\n  max_iterations: 90\n", "agent.max_iterations", "60", "agent:\n  max_iterations: 60\n"},
		{"quoted number becomes one", "agent:\n  max_iterations: \"90\"\n", "agent.max_iterations", "60", "agent:\n  max_iterations: 60\n"},
		{"leading zeros", "agent:\n  max_iterations: 90\n", "agent.max_iterations", "060", "agent:\n  max_iterations: 60\n"},
		{"truth", "model:\n  streaming: true\n", "model.streaming", "off", "model:\n  streaming: false\n"},
		{"on would be truth elsewhere", "model:\n  default: x\n", "model.default", "on", "model:\n  default: \"on\"\n"},
		{"number as text", "model:\n  default: x\n", "model.default", "123", "model:\n  default: \"123\"\n"},
		{"float as text", "model:\n  default: x\n", "model.default", "1e3", "model:\n  default: \"1e3\"\n"},
		{"date as text", "model:\n  default: x\n", "model.default", "2026-01-01", "model:\n  default: \"2026-01-01\"\n"},
		{"null as text", "model:\n  default: x\n", "model.default", "null", "model:\n  default: \"null\"\n"},
		{"colon", "model:\n  default: x\n", "model.default", "qwen3:14b", "model:\n  default: \"qwen3:14b\"\n"},
		{"hash", "model:\n  default: x\n", "model.default", "a #b", "model:\n  default: \"a #b\"\n"},
		{"backslash and quotes", "model:\n  default: x\n", "model.default", `a\"b`, `model:` + "\n" + `  default: "a\\\"b"` + "\n"},
		{"star", "model:\n  default: x\n", "model.default", "*x", "model:\n  default: \"*x\"\n"},
		{"empty text", "model:\n  default: x\n", "model.default", "", "model:\n  default: \"\"\n"},
		{"slash and dots", "model:\n  default: x\n", "model.default", "org/gpt-4.1", "model:\n  default: org/gpt-4.1\n"},
		{"unicode before it", "# grüße\nmodel: {provider: auto, default: \"mödel→\", streaming: true} # é\n", "model.streaming", "no", "# grüße\nmodel: {provider: auto, default: \"mödel→\", streaming: false} # é\n"},
		{"off is an enum", "display:\n  tool_progress: auto\n", "display.tool_progress", "off", "display:\n  tool_progress: \"off\"\n"},
		{"URL", "model:\n  base_url: https://a/v1 # c\n", "model.base_url", "http://127.0.0.1:11434/v1", "model:\n  base_url: http://127.0.0.1:11434/v1 # c\n"},
		{"size", "limits:\n  memory: 512MiB\n", "limits.memory", "1 GiB", "limits:\n  memory: 1GiB\n"},
		{"duration", "terminal: { timeout: 180s, network: proxy }\n", "terminal.timeout", "5m", "terminal: { timeout: 5m, network: proxy }\n"},
		{"CRLF", "model:\r\n  default: old\r\nagent:\r\n", "model.default", "new", "model:\r\n  default: new\r\nagent:\r\n"},
		{"byte order mark", "\xef\xbb\xbf{model: {default: old}}\n", "model.default", "new", "\xef\xbb\xbf{model: {default: new}}\n"},
		{"no line end", "model:\n  default: old", "model.default", "new", "model:\n  default: new"},
		{"JSON", `{"model": {"default": "old", "streaming": true}}`, "model.default", "new", `{"model": {"default": "new", "streaming": true}}`},
		{"nothing after the colon", "model:\n  default:\n  provider: auto\n", "model.default", "new", "model:\n  default: new\n  provider: auto\n"},
		{"nothing but a comment", "model:\n  default:   # pick one\n", "model.default", "new", "model:\n  default: new   # pick one\n"},
		{"explicit nothing", "model:\n  default: ~\n", "model.default", "new", "model:\n  default: new\n"},
		{"same value", "model:\n  default:   'x'\n", "model.default", "x", "model:\n  default:   'x'\n"},
		{"same size in other words", "limits:\n  memory: 1024MiB\n", "limits.memory", "1GiB", "limits:\n  memory: 1024MiB\n"},

		{"flow list", "agent:\n  tools: [all]  # c\n", "agent.tools", "terminal,patch", "agent:\n  tools: [terminal, patch]  # c\n"},
		{"text becomes a list", "agent:\n  tools: all\n", "agent.tools", "terminal", "agent:\n  tools: [terminal]\n"},
		{"empty list", "agent:\n  tools: [ all ]\n", "agent.tools", "[]", "agent:\n  tools: []\n"},
		{"flow list over lines", "agent:\n  tools: [\n    terminal,\n    patch\n  ]\n", "agent.tools", "all", "agent:\n  tools: [all]\n"},
		{
			"block list", "agent:\n  tools:\n    - terminal  # shell\n    # files\n    - read_file\n    - patch\n  max_iterations: 9\n", "agent.tools", "terminal,read_file,write_file",
			"agent:\n  tools:\n    - terminal  # shell\n    # files\n    - read_file\n    - write_file\n  max_iterations: 9\n",
		},
		{"block list at the margin", "agent:\n  tools:\n  - terminal\n", "agent.tools", "terminal,patch", "agent:\n  tools:\n  - terminal\n  - patch\n"},
		{"block list emptied", "agent:\n  tools: # which\n    # why\n    - terminal\n  max_iterations: 9\n", "agent.tools", "[]", "agent:\n  tools: [] # which\n    # why\n  max_iterations: 9\n"},
		{"origins", "api_server:\n  max_concurrent_runs: 3\n", "api_server.cors_origins", "https://a.example,http://localhost:3000", "api_server:\n  max_concurrent_runs: 3\n  cors_origins: [https://a.example, http://localhost:3000]\n"},

		{"new in a section", "model:\n  provider: auto # c\n\n# next\nagent:\n  max_iterations: 9\n", "model.default", "new", "model:\n  provider: auto # c\n  default: new\n\n# next\nagent:\n  max_iterations: 9\n"},
		{"indentation of four", "model:\n    provider: auto\n", "model.default", "new", "model:\n    provider: auto\n    default: new\n"},
		{"below its example", "model:\n  # The id.\n  # default: gpt\n  # More.\n  # streaming: true\n  provider: auto\n", "model.default", "new", "model:\n  # The id.\n  # default: gpt\n  default: new\n  # More.\n  # streaming: true\n  provider: auto\n"},
		{"empty section", "model:\nagent:\n  max_iterations: 9\n", "model.default", "new", "model:\n  default: new\nagent:\n  max_iterations: 9\n"},
		{"section of comments", "model:\n    # default: gpt\n\nagent:\n", "model.default", "new", "model:\n    # default: gpt\n    default: new\n\nagent:\n"},
		{"braces", "agent: { max_iterations: 90 }\n", "agent.tools", "all", "agent: { max_iterations: 90, tools: [all] }\n"},
		{"braces with a comma at the end", "agent: { max_iterations: 90, }\n", "agent.tools", "all", "agent: { max_iterations: 90, tools: [all], }\n"},
		{"empty braces", "agent: {}\n", "agent.max_iterations", "5", "agent: {max_iterations: 5}\n"},
		{"braces over lines", "agent: {\n  max_iterations: 90 # c\n}\n", "agent.tools", "all", "agent: {\n  max_iterations: 90, tools: [all] # c\n}\n"},
		{"all in braces", "{agent: {max_iterations: 9}}\n", "model.default", "new", "{agent: {max_iterations: 9}, model: {default: new}}\n"},
		{"new section", "agent:\n  max_iterations: 9\n", "model.default", "new", "agent:\n  max_iterations: 9\n\nmodel:\n  default: new\n"},
		{"new section after no line end", "agent:\n  max_iterations: 9", "model.default", "new", "agent:\n  max_iterations: 9\n\nmodel:\n  default: new\n"},
		{"new section below its example", "# model:\n#   default: gpt\n\nagent:\n  max_iterations: 9\n", "model.default", "new", "# model:\n#   default: gpt\n\nmodel:\n  default: new\n\nagent:\n  max_iterations: 9\n"},
		{"empty file", "", "model.default", "new", "model:\n  default: new\n"},
		{"comments only", "# hello\n", "model.default", "new", "# hello\n\nmodel:\n  default: new\n"},
		{"document start", "---\n", "model.default", "new", "---\n\nmodel:\n  default: new\n"},
		{"document end", "agent:\n  max_iterations: 9\n...\n", "model.default", "new", "agent:\n  max_iterations: 9\n\nmodel:\n  default: new\n\n...\n"},
		{"new with CRLF", "agent:\r\n  max_iterations: 9\r\n", "model.default", "new", "agent:\r\n  max_iterations: 9\r\n\r\nmodel:\r\n  default: new\r\n"},
		{"alias", "platforms:\n  api_server:\n    port: 1 # c\n", "api_server.port", "2", "platforms:\n  api_server:\n    port: 2 # c\n"},
		{"new below the alias", "platforms:\n  api_server:\n    port: 1\n", "api_server.enabled", "yes", "platforms:\n  api_server:\n    port: 1\n    enabled: true\n"},
		{"usual place goes first", "platforms:\n  api_server:\n    port: 1\napi_server:\n  host: ::1\n", "api_server.enabled", "yes", "platforms:\n  api_server:\n    port: 1\napi_server:\n  host: ::1\n  enabled: true\n"},
		{"broken elsewhere", "typo: 1\nmodel:\n  default: old\n", "model.default", "new", "typo: 1\nmodel:\n  default: new\n"},
		{"block text is in the way of nothing", "notes: |\n  default: no\n  model: x\nmodel:\n  default: old\n", "model.default", "new", "notes: |\n  default: no\n  model: x\nmodel:\n  default: new\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			after, line, err := setYAML([]byte(test.before), row(t, test.key), test.value)
			if err != nil || string(after) != test.after {
				t.Fatalf("got\n%s%v\nwant\n%s", after, err, test.after)
			}
			if written := strings.Split(test.after, "\n")[line-1]; !strings.Contains(written, row(t, test.key).Leaf()) {
				t.Errorf("line %d is %q", line, written)
			}
			again, _, err := setYAML(after, row(t, test.key), test.value)
			if err != nil || string(again) != test.after {
				t.Errorf("a second time it changes again: %q, %v", again, err)
			}
		})
	}
}

func TestSetYAMLRefusesWhatItCannotKeep(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, before, key, value string }{
		{"block text", "model:\n  default: |\n    old\n", "model.default", "new"},
		{"text over lines", "model:\n  default: old\n    and more\n", "model.default", "new"},
		{"section for a value", "model:\n  default:\n    a: b\n", "model.default", "new"},
		{"value for a section", "model: x\n", "model.default", "new"},
		{"comment in brackets", "agent:\n  tools: [\n    terminal, # shell\n    patch\n  ]\n", "agent.tools", "all"},
		{"broken file", "model:\n\tdefault: x\n", "model.default", "new"},
		{"key stands twice", "model:\n  default: x\n  default: y\n", "model.default", "new"},
		{"two documents", "model:\n---\nagent:\n", "model.default", "new"},
		{"alias", "a: &a x\nmodel:\n  default: *a\n", "model.default", "new"},
		{"section: null", "model: null\n", "model.default", "new"},
		{"list at the top", "- x\n", "model.default", "new"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			after, _, err := setYAML([]byte(test.before), row(t, test.key), test.value)
			var problem *Problem
			if !errors.As(err, &problem) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, %v", after, err)
			}
		})
	}
}

func TestUnsetYAMLGolden(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, before, key, after string }{
		{"line", "# a\nmodel:\n  provider: auto\n  default: x # c\n# b\n", "model.default", "# a\nmodel:\n  provider: auto\n# b\n"},
		{"only line", "model:\n  default: x\nagent:\n  max_iterations: 9\n", "model.default", "model:\nagent:\n  max_iterations: 9\n"},
		{"last line without end", "model:\n  provider: auto\n  default: x", "model.default", "model:\n  provider: auto\n"},
		{"nothing after the colon", "model:\n  default:\n  provider: auto\n", "model.default", "model:\n  provider: auto\n"},
		{"block list", "agent:\n  tools:\n    - terminal\n    - patch # c\n  max_iterations: 9\n", "agent.tools", "agent:\n  max_iterations: 9\n"},
		{"flow list over lines", "agent:\n  tools: [\n    all\n  ]\n  max_iterations: 9\n", "agent.tools", "agent:\n  max_iterations: 9\n"},
		{"first in braces", "agent: { max_iterations: 90, tools: [all] }\n", "agent.max_iterations", "agent: { tools: [all] }\n"},
		{"last in braces", "agent: { max_iterations: 90, tools: [all] }\n", "agent.tools", "agent: { max_iterations: 90 }\n"},
		{"alone in braces", "agent: { tools: [all] }\n", "agent.tools", "agent: {  }\n"},
		{"CRLF", "model:\r\n  default: x\r\n  provider: auto\r\n", "model.default", "model:\r\n  provider: auto\r\n"},
		{"both places", "api_server:\n  port: 1\nplatforms:\n  api_server:\n    port: 1\n", "api_server.port", "api_server:\nplatforms:\n  api_server:\n"},
		{"models", "fallback_models:\n  - provider: openai\n    default: x\nagent:\n", "fallback_models", "agent:\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			after, _, err := unsetYAML([]byte(test.before), row(t, test.key))
			if err != nil || string(after) != test.after {
				t.Errorf("got\n%s%v\nwant\n%s", after, err, test.after)
			}
		})
	}
	if _, _, err := unsetYAML([]byte("model:\n  # default: x\n"), row(t, "model.default")); !errors.Is(err, errNotSet) {
		t.Errorf("got %v", err)
	}
}

// TestEveryRowGoesIntoTheTemplate sets each row in a new config.yaml: the line
// stands right below its commented example, and nothing else changes.
func TestEveryRowGoesIntoTheTemplate(t *testing.T) {
	t.Parallel()
	for _, k := range Keys() {
		if k.Secret || k.Kind == Models || k.Kind == Servers {
			continue
		}
		value := map[Kind]string{
			Bool: "no", URL: "https://x.example/v1", EnvName: "MY_KEY", Text: "some:thing", Origins: "https://a.example", ModelName: "x", Host: "::1", Address: "[::1]:9642", Rules: "docker *",
		}[k.Kind]
		switch {
		case value != "":
		case len(k.Allowed) > 0:
			value = k.Allowed[len(k.Allowed)-1]
		default:
			value = k.Default
		}
		after, line, err := setYAML(ConfigTemplate(), k, value)
		if err != nil {
			t.Errorf("%s: %v", k.Key, err)
			continue
		}
		lines := strings.Split(string(after), "\n")
		if k.Env == "" && !strings.HasPrefix(lines[line-2], "  # "+k.Leaf()+":") {
			t.Errorf("%s stands in line %d below %q", k.Key, line, lines[line-2])
		}
		without := strings.Join(append(lines[:line-1:line-1], lines[line:]...), "\n")
		if without != string(ConfigTemplate()) {
			t.Errorf("%s changes more than one line", k.Key)
		}
		if back, _, err := unsetYAML(after, k); err != nil || string(back) != string(ConfigTemplate()) {
			t.Errorf("%s: unset does not bring the template back: %v", k.Key, err)
		}
	}
}
