package configs

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestBadYAMLIsExplainedWithItsLine(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		line       int
		want       string
	}{
		{"unknown section", "mdoel:\n  default: x\n", 1, `unknown key "mdoel"`},
		{"unknown key", "model:\n  default: x\n  deault: y\n", 3, "did you mean model.default"},
		{"capital letters", "Model:\n  default: x\n", 1, `unknown key "Model"`},
		{"dotted key", "model.default: x\n", 1, "as a section `model:`"},
		{"variable in YAML", "API_SERVER_PORT: 8650\n", 1, "belongs into .env"},
		{"unknown below the alias", "platforms:\n  telegram:\n    token: x\n", 2, `unknown key "platforms.telegram"`},
		{"key stands twice", "model:\n  default: a\nagent:\n  max_iterations: 1\nmodel:\n  default: b\n", 5, "stands twice, here and in line 1"},
		{"key stands twice below", "model:\n  default: a\n  default: a\n", 3, "stands twice"},
		{"alias with another value", "api_server:\n  port: 1\nplatforms:\n  api_server:\n    port: 2\n", 5, "differs from api_server.port in line 2"},
		{"list at the top", "- a\n- b\n", 1, "no list of settings"},
		{"text at the top", "hello\n", 1, "no list of settings"},
		{"two documents", "model:\n  default: a\n---\nagent:\n", 3, "second document"},
		{"three dashes twice", "---\n---\n", 2, "second document"},
		{"anchor and alias", "model: &m\n  default: a\nfallback_models: [*m]\n", 1, "anchors and aliases"},
		{"unknown anchor", "model:\n  default: *secret\n", 2, "anchors and aliases"},
		{"merge key", "a: &x {b: 1}\nmodel:\n  <<: *x\n", 1, "anchors and aliases"},
		{"billion laughs", bomb(), 1, "anchors and aliases"},
		{"deep nesting", strings.Repeat("[", 20_000), 0, "nested too deep"},
		{"tag", "model:\n  default: !!python/object:os.system x\n", 2, "tags"},
		{"tab", "model:\n\tdefault: x\n", 2, "tab"},
		{"tab after spaces", "model:\n  provider: auto\n \tdefault: x\n", 3, "tab"},
		{"NUL", "model:\n  default: a\x00b\n", 2, "NUL byte"},
		{"control character", "model:\n  default: a\x07b\n", 2, "control character"},
		{"Latin-1", "model:\n  # f\xfcr\n", 2, "not UTF-8"},
		{"UTF-16", "\xff\xfem\x00", 1, "UTF-16"},
		{"too large", "# " + strings.Repeat("x", maxFile), 0, "larger than"},
		{"open quote", "model:\n  default: \"a\n", 0, ""},
		{"open bracket", "agent:\n  tools: [all\n", 0, ""},
		{"colon in a value", "model:\n  default: a: b\n", 2, "colon where none may be"},
		{"no colon", "model:\n  default x\n  provider auto\n", 0, ""},
		{"wrong indentation", "model:\n   default: a\n  provider: auto\n", 0, ""},
		{"value for a section", "model: gpt-5\n", 1, "write `key: value` lines"},
		{"list for a section", "model:\n  - default: x\n", 2, "this is a list"},
		{"section for a value", "model:\n  default:\n    x: y\n", 3, "this is a section; write one value"},
		{"list for a value", "model:\n  default: [a]\n", 2, "this is a list; write one value"},
		{"number for text", "model:\n  default: 5\n", 2, "put the value into quotes"},
		{"date for text", "model:\n  default: 2026-01-01\n", 2, "this is a date"},
		{"truth for text", "display:\n  tool_progress: false\n", 2, "truth value"},
		{"text for a number", "api_server:\n  port: eighty\n", 2, `"eighty" is no port`},
		{"text for truth", "model:\n  streaming: sometimes\n", 2, "neither true nor false"},
		{"truth for a number", "agent:\n  max_iterations: true\n", 2, "whole number"},
		{"fraction", "agent:\n  max_iterations: 1.5\n", 2, "whole number"},
		{"hexadecimal", "api_server:\n  port: 0x2000\n", 2, "no port"},
		{"bare duration", "terminal:\n  timeout: 180\n", 2, "such as 180s"},
		{"number in a list", "agent:\n  tools: [1]\n", 2, "an entry is a number"},
		{"list in a list", "agent:\n  tools: [[all]]\n", 2, "an entry is a list"},
		{"comma in an entry", "agent:\n  tools: ['patch,terminal']\n", 2, "comma"},
		{"origin with a path", "api_server:\n  cors_origins:\n    - https://a.example/x\n", 3, "after the host"},
		{"fallback is no list", "fallback_models: gpt\n", 1, "write a list"},
		{"fallback entry is text", "fallback_models: [gpt]\n", 1, "entry 1 (line 1)"},
		{"fallback entry with unknown key", "fallback_models:\n  - provider: openai\n    modl: x\n", 2, `unknown key "modl"`},
		{"fallback entry without a provider", "fallback_models:\n  - default: x\n", 2, "nothing says who serves"},
		{"fallback entry with a bad value", "fallback_models:\n  - provider: openai\n    base_url: x\n", 2, "base_url"},
		{"list as key", "? [a]\n: b\n", 1, "a key must be a plain word"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, problems := readYAML("/x/config.yaml", []byte(test.text))
			if len(problems) == 0 {
				t.Fatal("nothing is wrong with it")
			}
			p := problems[0]
			if p.File != "/x/config.yaml" || (test.line > 0 && p.Line != test.line) || !strings.Contains(p.Text, test.want) {
				t.Errorf("got %v, want line %d %q", p, test.line, test.want)
			}
			if strings.ContainsAny(p.Text, "\n\x00\x07") || strings.Contains(p.Text, "yaml:") || len(p.Text) > 400 {
				t.Errorf("this is no clear sentence: %q", p.Text)
			}
		})
	}
}

// bomb is the billion laughs.
func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [" + strings.Repeat("x, ", 8) + "x]\n")
	for i := range 9 {
		n := string(rune('0' + i))
		m := string(rune('1' + i))
		b.WriteString("a" + m + ": &a" + m + " [*a" + n + strings.Repeat(", *a"+n, 8) + "]\n")
	}
	return b.String()
}

func TestYAMLThatEditorsWriteIsRead(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text string }{
		{"plain", "agent:\n  max_iterations: 7\n"},
		{"CRLF", "agent:\r\n  max_iterations: 7\r\n"},
		{"byte order mark", "\xef\xbb\xbfagent:\n  max_iterations: 7\n"},
		{"document start", "---\n# hello\nagent:\n  max_iterations: 7\n...\n"},
		{"braces", "{agent: {max_iterations: 7}}\n"},
		{"JSON", `{"agent": {"max_iterations": 7}}`},
		{"quoted number", "agent:\n  max_iterations: '7'\n"},
		{"empty sections", "model:\nagent:\n  max_iterations: 7\n  tools:\nlimits: ~\n"},
		{"trailing tab in a comment", "agent:\n  max_iterations: 7\t# a\tb\n"},
		{"no line end", "agent:\n  max_iterations: 7"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			values, problems := readYAML(filepath.Join("x", YAMLFile), []byte(test.text))
			if len(problems) > 0 || values["agent.max_iterations"].value != int64(7) {
				t.Errorf("got %v, %v", values, problems)
			}
		})
	}
	for _, empty := range []string{"", "\n", "# nothing\n", "---\n", "null\n", "~", "\xef\xbb\xbf"} {
		if values, problems := readYAML("x", []byte(empty)); len(values) > 0 || len(problems) > 0 {
			t.Errorf("%q gives %v, %v", empty, values, problems)
		}
	}
}

func TestYAMLErrorsDoNotShowSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	for _, text := range []string{
		"api_server:\n  key: *" + secret + "\n",
		"api_server:\n  key: " + secret + ": x\n",
		"api_server:\n  key: \"" + secret + "\n",
		"api_server:\n  key: '" + secret + " x'\n",
		"api_server:\n  key: !" + secret + " x\n",
		"api_server:\n  key: [" + secret + "]\n",
		"api_server:\n  key: @" + secret + "\n",
		"api_server:\n  key: " + secret + "\nplatforms:\n  api_server:\n    key: other\n",
		"model:\n  api_key_env: " + secret + "\n",
	} {
		_, problems := readYAML("x", []byte(text))
		if len(problems) == 0 {
			t.Errorf("%q is taken", text)
		}
		for _, p := range problems {
			if strings.Contains(p.Error(), secret) {
				t.Errorf("%q is shown: %v", text, p)
			}
		}
	}
}
