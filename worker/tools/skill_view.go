package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/skills"
)

// maxSkillFiles is how many files of a skill are named beside its SKILL.md.
const maxSkillFiles = 100

// skillView is the tool that reads skills.
type skillView struct {
	spec llm.ToolSpec
	*skillFiles
}

func newSkillView(f *skillFiles) *skillView { return &skillView{mustSpec("skill_view"), f} }

func (t *skillView) Spec() llm.ToolSpec { return t.spec }

func (t *skillView) Emoji() string { return "📚" }

func (t *skillView) Concurrent() bool { return true }

// viewArguments are the arguments of skill_view.
type viewArguments struct {
	Name     string `json:"name"`
	FilePath string `json:"file_path"`
	Offset   int    `json:"offset"`
}

func (t *skillView) Label(input json.RawMessage) string {
	arguments, err := decode[viewArguments](input)
	switch {
	case err != nil:
		return ""
	case arguments.FilePath != "":
		return arguments.Name + " → " + arguments.FilePath
	default:
		return arguments.Name
	}
}

func (t *skillView) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[viewArguments](input)
	if err != nil {
		return Result{}, err
	}
	skill, problem := t.find(arguments.Name)
	if problem != "" {
		return Failure(problem), nil
	}
	rel := path.Join(skill.Dir, skills.File)
	if name := strings.TrimSpace(arguments.FilePath); name != "" && path.Clean(name) != skills.File {
		if rel, problem = skillPath(skill, name); problem != "" {
			return Failure(problem), nil
		}
	}
	files, err := t.open()
	if err != nil {
		return Failure("The skills cannot be read: " + err.Error() + "."), nil
	}
	defer files.close()
	file, info, problem := files.open(rel)
	if problem != "" {
		return Failure(problem), nil
	}
	defer file.Close()
	text, problem, err := decodeText(rel, file, info.Size())
	switch {
	case err != nil:
		return Failure(files.explain(rel, err)), nil
	case problem != "":
		return Failure(problem), nil
	}
	page := page{path: rel, offset: max(arguments.Offset, 1), limit: maxReadLines, bare: true}
	if err := page.read(ctx, text); err != nil {
		if ctx.Err() != nil {
			return Result{}, context.Cause(ctx)
		}
		return Failure(files.explain(rel, err)), nil
	}
	result := page.result()
	if path.Base(rel) == skills.File && !result.Failed {
		result.Text += t.about(ctx, files, skill)
	}
	return result, nil
}

// about says what else a model has to know of a skill that it reads.
func (t *skillView) about(ctx context.Context, files *workspace, skill skills.Skill) string {
	text := fmt.Sprintf("\n[The skill lies in %s.", filepath.Join(files.dirs[0], skill.Dir))
	if skill.Problem != "" {
		text += " It is broken: " + skill.Problem + "."
	}
	var names []string
	for _, dir := range skillDirs() {
		names = append(names, below(ctx, files, path.Join(skill.Dir, dir), 0)...)
	}
	if len(names) > maxSkillFiles {
		names = append(names[:maxSkillFiles], "…")
	}
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, skill.Dir+"/")
	}
	if len(names) > 0 {
		text += " Its files, each to be read with file_path: " + strings.Join(names, ", ")
	}
	return text + "]\n"
}

// below lists the plain files below a directory, some more than are shown at most.
func below(ctx context.Context, files *workspace, dir string, depth int) (names []string) {
	if depth > 4 || ctx.Err() != nil {
		return nil
	}
	entries, err := files.list(dir, 1000)
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		switch {
		case len(names) > maxSkillFiles:
			return names
		case entry.IsDir():
			names = append(names, below(ctx, files, name, depth+1)...)
		case entry.Type().IsRegular():
			names = append(names, name)
		}
	}
	return names
}
