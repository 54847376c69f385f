package configs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTemplateFollowsTheTable holds templates/config.yaml against the rows.
func TestTemplateFollowsTheTable(t *testing.T) {
	t.Parallel()
	want := renderTemplate()
	if *update {
		if err := os.WriteFile("templates/config.yaml", []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got := string(ConfigTemplate()); got != want {
		t.Errorf("templates/config.yaml does not follow keys.go; run go test ./configs -update\n%s", want)
	}
}

func renderTemplate() string {
	var b strings.Builder
	b.WriteString("# Settings of this profile. All are optional: what is commented out shows the built-in default.\n" +
		"# Change them here, or with `hermes config set KEY VALUE` (model.default and so on).\n" +
		"# The API server's address, port and key, and all provider keys, stand in .env.\n")
	section := ""
	for _, k := range Keys() {
		if k.Env != "" {
			continue
		}
		if k.Kind == Models {
			b.WriteString("\n# " + k.Help + "\n# fallback_models:\n#   - provider: openai\n#     default: gpt-5-mini\n")
			continue
		}
		if k.Kind == Servers {
			b.WriteString("\n# " + k.Help + "\n# mcp_servers:\n#   files:\n#     command: npx\n#     args: [-y, \"@modelcontextprotocol/server-filesystem\", .]\n" +
				"#   tracker:\n#     url: https://mcp.example.com/mcp\n#     headers: {Authorization: \"Bearer ${TRACKER_TOKEN}\"}\n")
			continue
		}
		if k.Section() != section {
			section = k.Section()
			b.WriteString("\n" + section + ":\n")
		}
		b.WriteString("  # " + k.Help + choices(k) + "\n")
		fmt.Fprintf(&b, "  # %s:%s\n", k.Leaf(), example(k))
	}
	return b.String()
}

func choices(k Key) string {
	text := ""
	switch {
	case k.Kind == Words:
		text = " Any of " + strings.Join(k.Allowed, ", ") + "."
	case len(k.Allowed) > 1:
		text = " One of " + strings.Join(k.Allowed, ", ") + "."
	case k.Range() != "":
		text = " From " + k.Range() + "."
	}
	if k.Unused {
		text += " Without effect in this version."
	}
	return text
}

func example(k Key) string {
	switch {
	case k.Kind.list():
		return " [" + k.Default + "]"
	case k.Default == "":
		return ""
	case k.Kind == Enum:
		return " " + yamlText(k.Default, 0)
	default:
		return " " + k.Default
	}
}
