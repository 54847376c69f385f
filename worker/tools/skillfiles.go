package tools

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"hermes/worker/skills"
)

// skillFiles is what the tools of skills have in common.
type skillFiles struct {
	library *skills.Library
	mu      sync.Mutex // one change at a time
}

// skillDirs are the directories of a skill that hold its further files.
func skillDirs() []string { return []string{"references", "templates", "scripts", "assets"} }

// open opens the directory of all skills, which is made if it is missing. No link
// leads out of it.
func (f *skillFiles) open() (*workspace, error) { return openWorkspace(f.library.Dir()) }

// find returns a skill by its name. The problem is a sentence for the model.
func (f *skillFiles) find(name string) (skill skills.Skill, problem string) {
	name = strings.TrimSpace(name)
	if name == "" {
		return skill, "The argument name is empty; it is the name of a skill."
	}
	skill, found, err := f.library.Find(name)
	switch {
	case err != nil:
		return skill, "The skills cannot be read: " + err.Error() + "."
	case found:
		return skill, ""
	}
	all, err := f.library.List()
	if err != nil {
		return skill, "The skills cannot be read: " + err.Error() + "."
	}
	var names []string
	for _, skill := range all {
		names = append(names, skill.Name)
	}
	problem = "There is no skill " + shorten(name) + "."
	if near := nearest(plainName(name), names); near != "" {
		return skill, problem + " Did you mean " + near + "?"
	}
	return skill, problem + " skills_list says which there are."
}

// skillPath turns the name of a further file of a skill into its path below the
// directory of all skills. The problem is a sentence for the model.
func skillPath(skill skills.Skill, name string) (rel, problem string) {
	name = strings.TrimSpace(name)
	clean := path.Clean(name)
	top, rest, _ := strings.Cut(clean, "/")
	if strings.ContainsRune(name, 0) || rest == "" || !slices.Contains(skillDirs(), top) || strings.HasSuffix(name, "/") {
		return "", fmt.Sprintf("file_path must name a file below %s.", strings.Join(skillDirs(), "/, ")+"/")
	}
	return path.Join(skill.Dir, clean), ""
}
