package tools

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"

	"hermes/worker/llm"
)

// texts are what the model reads of each tool: a description, then the schema of
// the arguments in a code block.
//
//go:embed *.md
var texts embed.FS

// mustSpec reads the spec of a tool from its .md file. It panics if the file is
// not as it must be, which every test of the package would notice.
func mustSpec(name string) llm.ToolSpec {
	text, err := texts.ReadFile(name + ".md")
	if err != nil {
		panic(err)
	}
	description, rest, _ := strings.Cut(string(text), "```json\n")
	parameters, _, found := strings.Cut(rest, "\n```")
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(parameters)); err != nil || !found {
		panic(fmt.Sprintf("%s.md: schema: %v", name, err))
	}
	return llm.ToolSpec{Name: name, Description: strings.TrimSpace(description), Parameters: compact.Bytes()}
}
