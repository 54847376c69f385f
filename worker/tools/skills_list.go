package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"hermes/worker/llm"
	"hermes/worker/skills"
)

// What a list gives at most.
const (
	maxListBytes       = 30_000
	maxListDescription = 200
)

// skillsList is the tool that lists skills.
type skillsList struct {
	spec    llm.ToolSpec
	library *skills.Library
}

func newSkillsList(l *skills.Library) *skillsList { return &skillsList{mustSpec("skills_list"), l} }

func (t *skillsList) Spec() llm.ToolSpec { return t.spec }

func (t *skillsList) Emoji() string { return "📚" }

func (t *skillsList) Concurrent() bool { return true }

// listArguments are the arguments of skills_list.
type listArguments struct {
	Category string `json:"category"`
}

func (t *skillsList) Label(input json.RawMessage) string {
	arguments, err := decode[listArguments](input)
	if err != nil || strings.TrimSpace(arguments.Category) == "" {
		return "all skills"
	}
	return arguments.Category
}

func (t *skillsList) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[listArguments](input)
	if err != nil {
		return Result{}, err
	}
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	all, err := t.library.List()
	if err != nil {
		return Failure(err.Error()), nil
	}
	category := strings.Trim(strings.TrimSpace(arguments.Category), "/")
	var out strings.Builder
	shown, left := 0, 0
	for _, skill := range all {
		if category != "" && skill.Category != category && !strings.HasPrefix(skill.Category, category+"/") {
			continue
		}
		line := skill.Name
		if skill.Category != "" {
			line += " [" + skill.Category + "]"
		}
		if skill.Problem != "" {
			line += " is broken: " + skills.Shorten(skill.Problem, maxListDescription)
		} else {
			line += ": " + skills.Shorten(skill.Description, maxListDescription)
		}
		if out.Len()+len(line) > maxListBytes {
			left++
			continue
		}
		out.WriteString("- " + line + "\n")
		shown++
	}
	switch {
	case left > 0:
		fmt.Fprintf(&out, "… and %d more. Give a category to see them.\n", left)
	case shown == 0 && category != "":
		return Failure("There are no skills in the category " + shorten(category) + "." + categories(all)), nil
	case shown == 0:
		return Result{Text: "There are no skills yet."}, nil
	}
	return Result{Text: out.String()}, nil
}

// categories is a sentence that names those that there are.
func categories(all []skills.Skill) string {
	var names []string
	seen := map[string]bool{"": true}
	for _, skill := range all {
		if !seen[skill.Category] && len(names) < 50 {
			names = append(names, skill.Category)
		}
		seen[skill.Category] = true
	}
	if len(names) == 0 {
		return " No skill has a category."
	}
	return " The categories are " + strings.Join(names, ", ") + "."
}
