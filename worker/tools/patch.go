package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"hermes/worker/llm"
)

const (
	// maxDiffEdits and maxDiffBytes bound the diff that the model gets to see.
	maxDiffEdits = 50
	maxDiffBytes = 10_000
	diffContext  = 2
)

// patch is the tool that changes parts of files.
type patch struct {
	spec      llm.ToolSpec
	workspace *workspace
}

func newPatch(w *workspace) *patch { return &patch{mustSpec("patch"), w} }

func (t *patch) Spec() llm.ToolSpec { return t.spec }

func (t *patch) Emoji() string { return "🔧" }

// patchArguments are the arguments of patch. Those that need not be there are
// pointers: an empty new_string deletes, a missing one is a mistake.
type patchArguments struct {
	Mode       string  `json:"mode"`
	Path       string  `json:"path"`
	OldString  *string `json:"old_string"`
	NewString  *string `json:"new_string"`
	ReplaceAll bool    `json:"replace_all"`
	Patch      string  `json:"patch"`
}

// mode is what was asked for, or what the other arguments show was meant.
func (a patchArguments) mode() string {
	switch {
	case a.Mode != "":
		return a.Mode
	case a.Patch != "" && a.OldString == nil:
		return "patch"
	default:
		return "replace"
	}
}

func (t *patch) Label(input json.RawMessage) string {
	arguments, err := decode[patchArguments](input)
	if err != nil {
		return ""
	}
	if arguments.mode() == "replace" {
		return arguments.Path
	}
	var paths []string
	for line := range strings.Lines(arguments.Patch) {
		if file, ok := fileHeader(line); ok {
			paths = append(paths, file.path)
		}
	}
	if len(paths) > 1 {
		return fmt.Sprintf("%s + %d more", paths[0], len(paths)-1)
	}
	return strings.Join(paths, "")
}

func (t *patch) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[patchArguments](input)
	if err != nil {
		return Result{}, err
	}
	var changes []change
	var report, problem string
	if arguments.mode() == "patch" {
		changes, report, problem = t.patchAll(ctx, arguments.Patch)
	} else {
		changes, report, problem = t.replace(ctx, arguments)
	}
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case problem != "":
		return Failure("Nothing was changed. " + problem), nil
	case len(changes) == 0:
		return Result{Text: report}, nil
	}
	path, err := t.workspace.apply(ctx, changes)
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return Result{}, err
	case err != nil:
		return Failure("Nothing was changed. " + t.workspace.explain(path, err)), nil
	}
	return Result{Text: report}, nil
}

// replace works out one replacement.
func (t *patch) replace(ctx context.Context, arguments patchArguments) (changes []change, report, problem string) {
	switch {
	case arguments.Path == "":
		return nil, "", "The argument path is missing."
	case arguments.OldString == nil:
		return nil, "", "The argument old_string is missing: the text to replace."
	case arguments.NewString == nil:
		return nil, "", "The argument new_string is missing: the text to put there, empty to delete."
	}
	path, problem := t.workspace.rel(arguments.Path)
	if problem != "" {
		return nil, "", problem
	}
	file, problem := t.workspace.load(ctx, path)
	if problem != "" {
		return nil, "", problem
	}
	r, problem := findReplacement(file.text, file.adapt(*arguments.OldString), file.adapt(*arguments.NewString), arguments.ReplaceAll)
	switch {
	case problem != "":
		return nil, "", path + ": " + problem
	case r.done != "":
		return nil, path + " is unchanged: " + r.done + ".", ""
	case r.how != "exact" && stale(ctx, path, file.info):
		return nil, "", path + " has changed since you read it, and old_string is not there as it is. Read the file again."
	}
	made := file.change(applyEdits(file.text, r.edits))
	if problem := t.workspace.spare(path, made.content); problem != "" {
		return nil, "", problem
	}
	report = "Changed " + path
	if len(r.edits) > 1 {
		report += fmt.Sprintf(" in %d places", len(r.edits))
	}
	if r.how != "exact" {
		report += fmt.Sprintf(" (old_string was not there exactly; found by %s match)", r.how)
	}
	return []change{made}, report + ".\n" + diff(path, path, file.text, r.edits), ""
}

// patchAll works out what a patch does to all of its files.
func (t *patch) patchAll(ctx context.Context, text string) (changes []change, report, problem string) {
	if strings.TrimSpace(text) == "" {
		return nil, "", "The argument patch is missing."
	}
	files, problem := parsePatch(text)
	if problem != "" {
		return nil, "", problem
	}
	seen := make(map[string]bool)
	var out strings.Builder
	for _, file := range files {
		made, done, problem := t.patchFile(ctx, file)
		if problem != "" {
			return nil, "", problem
		}
		for _, change := range made {
			if seen[change.path] {
				return nil, "", change.path + " is in the patch more than once. Put all of its changes in one part."
			}
			seen[change.path] = true
		}
		changes = append(changes, made...)
		out.WriteString(done)
	}
	return changes, out.String(), ""
}

// patchFile works out what a patch does to one file.
func (t *patch) patchFile(ctx context.Context, file filePatch) (changes []change, report, problem string) {
	path, problem := t.workspace.rel(file.path)
	if problem != "" {
		return nil, "", problem
	}
	switch file.action {
	case addFile:
		return t.add(path, file)
	case deleteFile:
		return t.remove(ctx, path)
	default:
		return t.update(ctx, path, file)
	}
}

func (t *patch) add(path string, file filePatch) (changes []change, report, problem string) {
	before, problem := t.workspace.writable(path)
	switch {
	case problem != "":
		return nil, "", problem
	case before != nil:
		return nil, "", path + " exists already. Use *** Update File, or delete it in an earlier call."
	}
	return []change{{path: path, content: []byte(file.content)}}, fmt.Sprintf("Added %s: %d lines.\n", path, countLines(file.content)), ""
}

func (t *patch) remove(ctx context.Context, path string) (changes []change, report, problem string) {
	before, problem := t.workspace.writable(path)
	switch {
	case problem != "":
		return nil, "", problem
	case before == nil:
		return nil, "", t.workspace.missing(path)
	case stale(ctx, path, before):
		return nil, "", path + " has changed since you read it. Read it again before you delete it."
	case before.Size() > maxPatchBytes:
		// Its content is kept in memory until all is done, for the case that
		// something else of the patch fails.
		return nil, "", path + " is too large to be deleted by a patch. Use the terminal."
	}
	old, err := t.workspace.root.ReadFile(path)
	if err != nil {
		return nil, "", t.workspace.explain(path, err)
	}
	return []change{{path: path, remove: true, before: before, like: before, old: old}}, "Deleted " + path + ".\n", ""
}

func (t *patch) update(ctx context.Context, path string, patch filePatch) (changes []change, report, problem string) {
	file, problem := t.workspace.load(ctx, path)
	if problem != "" {
		return nil, "", problem
	}
	edits, exact, problem := findChunks(path, file.text, patch.chunks)
	switch {
	case problem != "":
		return nil, "", problem
	case !exact && stale(ctx, path, file.info):
		return nil, "", path + " has changed since you read it, and the lines of the patch are not there as they are. Read the file again."
	}
	text := applyEdits(file.text, edits)
	made := file.change(text)
	if problem := t.workspace.spare(path, made.content); problem != "" {
		return nil, "", problem
	}
	if patch.moveTo == "" {
		if text == file.text {
			return nil, path + " is unchanged: it is as the patch wants it already.\n", ""
		}
		return []change{made}, "Changed " + path + ".\n" + diff(path, path, file.text, edits), ""
	}
	to, problem := t.workspace.rel(patch.moveTo)
	if problem != "" {
		return nil, "", problem
	}
	target, problem := t.workspace.writable(to)
	switch {
	case problem != "":
		return nil, "", problem
	case target != nil:
		return nil, "", to + " exists already, so " + path + " cannot be moved there."
	}
	moved := change{path: to, content: made.content, like: file.info}
	made.remove = true
	return []change{moved, made}, "Moved " + path + " to " + to + ".\n" + diff(path, to, file.text, edits), ""
}

// diff shows the edits of a text as a unified diff, without those that are beyond
// what a model wants to read.
func diff(from, to, text string, edits []edit) string {
	shown := make([]udiff.Edit, 0, min(len(edits), maxDiffEdits))
	for _, e := range edits[:min(len(edits), maxDiffEdits)] {
		e = narrow(text, e)
		shown = append(shown, udiff.Edit{Start: e.start, End: e.end, New: e.text})
	}
	unified, err := udiff.ToUnified("a/"+from, "b/"+to, text, shown, diffContext)
	if err != nil {
		return "" // the edits stand, only their picture is missing
	}
	note := ""
	if len(unified) > maxDiffBytes {
		cut := strings.LastIndexByte(unified[:maxDiffBytes], '\n') + 1
		unified, note = unified[:cmp.Or(cut, maxDiffBytes)], "[the diff is longer]\n"
	}
	if len(edits) > maxDiffEdits {
		note = fmt.Sprintf("[the diff shows the first of %d places]\n", len(edits))
	}
	return strings.ToValidUTF8(unified, "\ufffd") + note
}

// narrow takes off what an edit leaves as it is, so that a diff shows less.
func narrow(text string, e edit) edit {
	old := text[e.start:e.end]
	same := 0
	for same < min(len(old), len(e.text)) && old[same] == e.text[same] {
		same++
	}
	// Whole lines only, so that no character is cut.
	same = strings.LastIndexByte(old[:same], '\n') + 1
	e.start, e.text, old = e.start+same, e.text[same:], old[same:]
	same = 0
	for same < min(len(old), len(e.text)) && old[len(old)-1-same] == e.text[len(e.text)-1-same] {
		same++
	}
	tail := old[len(old)-same:]
	if i := strings.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[i+1:]
	} else {
		tail = ""
	}
	e.end, e.text = e.end-len(tail), strings.TrimSuffix(e.text, tail)
	return e
}
