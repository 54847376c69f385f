package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"hermes/worker/llm"
)

// writeFile is the tool that writes whole files.
type writeFile struct {
	spec      llm.ToolSpec
	workspace *workspace
}

func newWriteFile(w *workspace) *writeFile { return &writeFile{mustSpec("write_file"), w} }

func (t *writeFile) Spec() llm.ToolSpec { return t.spec }

func (t *writeFile) Emoji() string { return "✍️" }

// writeArguments are the arguments of write_file.
type writeArguments struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

func (t *writeFile) Label(input json.RawMessage) string {
	arguments, err := decode[writeArguments](input)
	if err != nil {
		return ""
	}
	return arguments.Path
}

func (t *writeFile) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[writeArguments](input)
	if err != nil {
		return Result{}, err
	}
	path, problem := t.workspace.rel(arguments.Path)
	if problem != "" {
		return Failure(problem), nil
	}
	if path == "." || strings.HasSuffix(strings.TrimSpace(arguments.Path), "/") {
		return Failure(arguments.Path + " names a directory; give the name of a file."), nil
	}
	before, problem := t.workspace.writable(path)
	if problem != "" {
		return Failure(problem), nil
	}
	done, note := "Created", ""
	if before != nil {
		if stale(ctx, path, before) {
			return Failure(path + " has changed since you read it. Read it again before you write it, so that nothing is lost."), nil
		}
		if problem := t.workspace.spare(path, []byte(arguments.Content)); problem != "" {
			return Failure("Nothing was written. " + problem), nil
		}
		done, note = "Overwrote", t.lineEnds(path, arguments.Content)
	}
	_, err = t.workspace.apply(ctx, []change{{path: path, content: []byte(arguments.Content), before: before, like: before}})
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return Result{}, err
	case err != nil:
		return Failure("Nothing was written. " + t.workspace.explain(path, err)), nil
	}
	return Result{Text: fmt.Sprintf("%s %s: %d bytes, %d lines.%s", done, path, len(arguments.Content), countLines(arguments.Content), note)}, nil
}

// lineEnds says so when the new content ends its lines otherwise than the file
// that it replaces.
func (t *writeFile) lineEnds(path, content string) string {
	file, _, problem := t.workspace.open(path)
	if problem != "" {
		return ""
	}
	defer file.Close()
	start := make([]byte, 64<<10)
	n, _ := file.Read(start)
	old, now := strings.Contains(string(start[:n]), "\r\n"), strings.Contains(content, "\r\n")
	switch {
	case old && !now && strings.Contains(content, "\n"):
		return " Note: its lines ended with CRLF before, with LF now."
	case now && !old && strings.Contains(string(start[:n]), "\n"):
		return " Note: its lines ended with LF before, with CRLF now."
	default:
		return ""
	}
}

// countLines counts lines as an editor does: one that is not ended counts too.
func countLines(text string) int {
	n := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		n++
	}
	return n
}
