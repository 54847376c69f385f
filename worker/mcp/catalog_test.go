package mcp

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long", 30)
	got := named([]Tool{
		{Server: "s", Remote: "plain"},
		{Server: "s", Remote: "a.b"},
		{Server: "s", Remote: "a/b"},
		{Server: "s", Remote: "A_b"},
		{Server: "s_t", Remote: "u"},
		{Server: "s", Remote: "t_u"},
		{Server: "s", Remote: long},
		{Server: "s", Remote: long + "er"},
		{Server: "s", Remote: "Größe <b>\x00"},
	})
	var plain []string
	for _, tool := range got {
		plain = append(plain, tool.Name)
	}
	for _, want := range []string{"mcp_s_plain", "mcp_s_Gr__e__b__"} {
		if !slices.Contains(plain, want) {
			t.Errorf("there is no %s in %q", want, plain)
		}
	}
	if len(plain) != 9 {
		t.Errorf("got %q", plain)
	}
	for _, name := range []string{"mcp_s_a_b", "mcp_s_t_u"} {
		if slices.Contains(plain, name) {
			t.Errorf("one of those that clash is called %s", name)
		}
	}
}

// Whatever servers call their tools, the names are such as model APIs take, and
// none stands twice; and the name of a tool does not depend on the order.
func TestNamesAreUniqueAndStable(t *testing.T) {
	t.Parallel()
	valid := regexp.MustCompile(`^mcp_[a-zA-Z0-9_-]{1,60}$`)
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "A", "a.b", "a_b", "a b", "é", strings.Repeat("x", 70), strings.Repeat("x", 71), "b"}), 0, 12).Draw(t, "names")
		servers := rapid.SliceOfN(rapid.SampledFrom([]string{"s", "s_a", "s.a", "S"}), len(names), len(names)).Draw(t, "servers")
		var tools []Tool
		for i, name := range names {
			tool := Tool{Server: servers[i], Remote: name}
			if !slices.ContainsFunc(tools, func(other Tool) bool { return other.Server == tool.Server && other.Remote == tool.Remote }) {
				tools = append(tools, tool)
			}
		}
		turned := slices.Clone(tools)
		slices.Reverse(turned)
		got, again := named(tools), named(turned)
		seen := map[string]bool{}
		for i, tool := range got {
			if !valid.MatchString(tool.Name) || seen[tool.Name] {
				t.Fatalf("%q of %+v", tool.Name, tool)
			}
			seen[tool.Name] = true
			if again[i].Name != tool.Name || again[i].Remote != tool.Remote || again[i].Server != tool.Server {
				t.Fatalf("in another order: %+v and %+v", tool, again[i])
			}
		}
		if len(got) != len(turned) {
			t.Fatalf("of %d tools %d are left", len(turned), len(got))
		}
	})
}

func TestFilters(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		include, exclude []string
		name             string
		want             bool
	}{
		{nil, nil, "a", true},
		{[]string{"a"}, nil, "a", true},
		{[]string{"a"}, nil, "ab", false},
		{[]string{"a*"}, nil, "a/b", true},
		{[]string{"*_issue"}, nil, "get_issue", true},
		{[]string{"*_issue"}, nil, "get_issues", false},
		{[]string{"g*i*e"}, nil, "get_issue", true},
		{[]string{"*"}, []string{"get_*"}, "get_issue", false},
		{nil, []string{"x"}, "get_issue", true},
		{[]string{"ab*ba"}, nil, "aba", false},
	} {
		if got := (Config{Include: test.include, Exclude: test.exclude}).wants(test.name); got != test.want {
			t.Errorf("%q without %q wants %s: %t", test.include, test.exclude, test.name, got)
		}
	}
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, schema, want, problem string }{
		{"plain", `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}`, `{"properties":{"a":{"type":"string"}},"required":["a"],"type":"object"}`, ""},
		{"none", `null`, `{"properties":{},"type":"object"}`, ""},
		{"empty", `{}`, `{"properties":{},"type":"object"}`, ""},
		{"draft 7", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"a":{"$ref":"#/definitions/A"}},"definitions":{"A":{"type":"integer"}}}`, `{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"A":{"type":"integer"}},"properties":{"a":{"$ref":"#/definitions/A"}},"type":"object"}`, ""},
		{"root is a reference", `{"$ref":"#/$defs/Args","$defs":{"Args":{"type":"object","properties":{"a":{"type":"string"}}}}}`, `{"$defs":{"Args":{"properties":{"a":{"type":"string"}},"type":"object"}},"properties":{"a":{"type":"string"}},"type":"object"}`, ""},
		{"alternatives", `{"type":"object","oneOf":[{"properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"string"}}}]}`, `{"properties":{"a":{"type":"string"},"b":{"type":"string"}},"type":"object"}`, ""},
		{"odd required", `{"type":"object","required":"a"}`, `{"properties":{},"type":"object"}`, ""},
		{"notes", `{"type":"object","properties":{"a":{"description":"x\u202ey\u0007"}}}`, `{"properties":{"a":{"description":"xy"}},"type":"object"}`, ""},
		{"a list", `[]`, "", "its schema is no object"},
		{"text", `"object"`, "", "its schema is no object"},
		{"array", `{"type":"array"}`, "", "its arguments are no object"},
		{"deep", strings.Repeat(`{"items":`, 50) + `{}` + strings.Repeat(`}`, 50), "", "its schema is nested too deep"},
		{"large", `{"type":"object","description":"` + strings.Repeat("x", maxSchema) + `"}`, "", "its schema has more than 32 kB"},
	} {
		var schema any
		if err := json.Unmarshal([]byte(test.schema), &schema); err != nil {
			t.Fatal(err)
		}
		got, problem := takeSchema(schema)
		if string(got) != test.want || problem != test.problem {
			t.Errorf("%s: %s %q, want %s %q", test.name, got, problem, test.want, test.problem)
		}
	}
}

func TestDescriptionsAreCleaned(t *testing.T) {
	t.Parallel()
	tool, problem := takeTool(&sdk.Tool{Name: "x", Description: "Adds.\u202e\x1b[31m \U000e0041hidden\n" + strings.Repeat("é", maxDescription), InputSchema: map[string]any{}})
	if problem != "" || !strings.HasPrefix(tool.Description, "Adds.[31m hidden\né") || len(tool.Description) > maxDescription+4 || !utf8.ValidString(tool.Description) {
		t.Errorf("got %q, %.60q", problem, tool.Description)
	}
	if _, problem := takeTool(&sdk.Tool{}); problem == "" {
		t.Error("a tool without a name is taken")
	}
}

func TestResults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer sdk.CallToolResult
		want   string
	}{
		{"nothing", sdk.CallToolResult{}, "(no output)"},
		{"texts", sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "a\x1b[1mb\x00"}, &sdk.TextContent{Text: "c"}}}, "ab\ufffd\nc"},
		{"image", sdk.CallToolResult{Content: []sdk.Content{&sdk.ImageContent{MIMEType: "image/png", Data: make([]byte, 12_345)}}}, "[an image (image/png, 12 kB) that cannot be shown here]"},
		{"sound", sdk.CallToolResult{Content: []sdk.Content{&sdk.AudioContent{MIMEType: "audio/wav", Data: make([]byte, 5)}}}, "[a sound (audio/wav, 5 bytes) that cannot be played here]"},
		{"link", sdk.CallToolResult{Content: []sdk.Content{&sdk.ResourceLink{URI: "file:///a", Name: "a\nb", MIMEType: "text/plain", Description: "What."}}}, "[resource a b: file:///a (text/plain), What.]"},
		{"resource", sdk.CallToolResult{Content: []sdk.Content{&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "x:1", Text: "inside"}}}}, "[resource x:1]\ninside"},
		{"bytes", sdk.CallToolResult{Content: []sdk.Content{&sdk.EmbeddedResource{Resource: &sdk.ResourceContents{URI: "x:1", MIMEType: "a/b", Blob: []byte("1")}}}}, "[resource x:1 (a/b, 1 bytes) that is no text]"},
		{"structure", sdk.CallToolResult{StructuredContent: map[string]any{"a": 1.0}}, `{"a":1}`},
		{"structure in both forms", sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: `{ "a": 1 }`}}, StructuredContent: map[string]any{"a": 1.0}}, `{ "a": 1 }`},
		{"structure beside a text", sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "Sunny."}}, StructuredContent: map[string]any{"a": 1.0}}, "Sunny.\n{\"a\":1}"},
	} {
		if got := render(&test.answer); got.Text != test.want || got.Failed || len(got.Images) > 0 {
			t.Errorf("%s: %+v, want %q", test.name, got, test.want)
		}
	}
}

func TestImagesOfResults(t *testing.T) {
	t.Parallel()
	png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 100)...)
	answer := sdk.CallToolResult{Content: []sdk.Content{
		&sdk.TextContent{Text: "Look:"},
		&sdk.ImageContent{MIMEType: "image/png", Data: png},
		&sdk.ImageContent{MIMEType: "image/jpeg", Data: png},
		&sdk.ImageContent{MIMEType: "image/png", Data: append(png, make([]byte, maxImageBytes)...)},
	}}
	got := render(&answer)
	want := "Look:\n[an image (image/png, 108 bytes), which follows]\n[an image (image/jpeg, 108 bytes) that cannot be shown here]\n[an image (image/png, 3750 kB) that cannot be shown here]"
	if got.Text != want || len(got.Images) != 1 || got.Images[0].MIME != "image/png" || !bytes.Equal(got.Images[0].Data, png) {
		t.Errorf("got %q and %d images, want %q", got.Text, len(got.Images), want)
	}
}

// Only lines that can be messages pass, however the output is cut into pieces.
func TestMessages(t *testing.T) {
	t.Parallel()
	output := "\n[INFO] hi\n{\"a\":1}\nnoise {\n  {\"b\":2}\r\n\nlast"
	rapid.Check(t, func(t *rapid.T) {
		var messagesOut, other bytes.Buffer
		m := &messages{to: &messagesOut, other: &other}
		for rest := output; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			if _, err := m.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if got, want := strings.Fields(messagesOut.String()), []string{`{"a":1}`, `{"b":2}`}; !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func FuzzSchema(f *testing.F) {
	f.Add(`{"type":"object","$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/a"}}}`)
	f.Add(`{"properties":[],"required":{},"anyOf":[1,{"properties":{"":{}}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var schema any
		if json.Unmarshal([]byte(text), &schema) != nil {
			return
		}
		got, problem := takeSchema(schema)
		if (problem == "") == (got == nil) {
			t.Fatalf("%s: %s, %q", text, got, problem)
		}
		if problem != "" {
			return
		}
		var root map[string]any
		err := json.Unmarshal(got, &root)
		properties, ok := root["properties"].(map[string]any)
		if err != nil || root["type"] != "object" || !ok || properties == nil {
			t.Fatalf("%s became %s: %v", text, got, err)
		}
	})
}
