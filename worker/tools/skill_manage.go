package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"hermes/worker/llm"
	"hermes/worker/skills"
)

const (
	// maxSkillFile is how large a further file of a skill may be, in bytes.
	maxSkillFile = 1 << 20
	// skillArchive is where deleted skills go.
	skillArchive = ".archive"
	// nextSession is said of each change.
	nextSession = " The index in your prompt shows it from the next session on."
)

// skillManage is the tool that writes skills.
type skillManage struct {
	spec llm.ToolSpec
	*skillFiles
}

func newSkillManage(f *skillFiles) *skillManage { return &skillManage{mustSpec("skill_manage"), f} }

func (t *skillManage) Spec() llm.ToolSpec { return t.spec }

func (t *skillManage) Emoji() string { return "📝" }

// manageArguments are the arguments of skill_manage. Those that may be missing
// and may be empty are pointers.
type manageArguments struct {
	Action      string  `json:"action"`
	Name        string  `json:"name"`
	Content     string  `json:"content"`
	OldString   string  `json:"old_string"`
	NewString   *string `json:"new_string"`
	FilePath    string  `json:"file_path"`
	FileContent *string `json:"file_content"`
	Category    string  `json:"category"`
}

func (t *skillManage) Label(input json.RawMessage) string {
	arguments, err := decode[manageArguments](input)
	switch {
	case err != nil:
		return ""
	case arguments.FilePath != "":
		return fmt.Sprintf("%s %s → %s", arguments.Action, arguments.Name, arguments.FilePath)
	default:
		return arguments.Action + " " + arguments.Name
	}
}

// refusal is an error whose text is a sentence for the model.
type refusal string

func (r refusal) Error() string { return string(r) }

func (t *skillManage) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[manageArguments](input)
	if err != nil {
		return Result{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil {
		return Result{}, context.Cause(ctx)
	}
	files, err := t.open()
	if err != nil {
		return Failure("The skills cannot be written: " + err.Error() + "."), nil
	}
	defer files.close()
	arguments.Name = strings.TrimSpace(arguments.Name)
	// What a turn has read of the workspace says nothing of files here.
	m := &managing{ctx: context.WithValue(ctx, readLogKey{}, nil), files: files, manageArguments: arguments}
	if arguments.Action == "create" {
		err = m.create(t.library)
	} else {
		skill, problem := t.find(arguments.Name)
		if problem != "" {
			return Failure(problem), nil
		}
		m.skill = skill
		err = m.change()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case err != nil:
		return Failure("Nothing was changed. " + err.Error()), nil
	}
	return Result{Text: m.done + nextSession}, nil
}

// managing is one call of skill_manage.
type managing struct {
	ctx   context.Context //nolint:containedctx // it lives as long as the call
	files *workspace
	skill skills.Skill
	done  string // what was done, a sentence
	manageArguments
}

// create makes a new skill.
func (m *managing) create(library *skills.Library) error {
	if err := skills.CheckName(m.Name); err != nil {
		return refusal("It cannot be created: " + err.Error() + ".")
	}
	category := strings.Trim(strings.TrimSpace(m.Category), "/")
	if category != "" {
		for part := range strings.SplitSeq(category, "/") {
			if skills.CheckName(part) != nil || strings.Count(category, "/") > 3 {
				return refusal("The category must be of a-z, 0-9 and hyphens, such as writing.")
			}
		}
	}
	if existing, found, err := library.Find(m.Name); err != nil {
		return refusal(err.Error() + ".")
	} else if found {
		return refusal("There is a skill " + existing.Name + " already, in " + existing.Dir + ". Use edit or patch to change it.")
	}
	m.skill = skills.Skill{Name: m.Name, Category: category, Dir: path.Join(category, m.Name)}
	if err := m.check(m.Content); err != nil {
		return err
	}
	// Below a skill there is no other one.
	for dir := category; dir != "" && dir != "."; dir = path.Dir(dir) {
		if _, err := m.files.root.Lstat(path.Join(dir, skills.File)); err == nil {
			return refusal(dir + " is a skill, not a category.")
		}
	}
	if _, err := m.files.root.Lstat(m.skill.Dir); err == nil {
		return refusal("There is a directory " + m.skill.Dir + " already.")
	}
	m.done = "Created the skill " + m.Name + "."
	return m.write(path.Join(m.skill.Dir, skills.File), m.Content)
}

// change changes a skill that is there.
func (m *managing) change() error {
	main := path.Join(m.skill.Dir, skills.File)
	if m.Action == "edit" {
		if err := m.check(m.Content); err != nil {
			return err
		}
		m.done = "Wrote SKILL.md of " + m.Name + "."
		return m.write(main, m.Content)
	}
	if m.Action == "delete" {
		return m.remove()
	}
	name := strings.TrimSpace(m.FilePath)
	if m.Action == "patch" && (name == "" || path.Clean(name) == skills.File) {
		return m.patch(main, m.check)
	}
	rel, problem := skillPath(m.skill, name)
	if problem != "" {
		return refusal(problem)
	}
	switch m.Action {
	case "patch":
		return m.patch(rel, tooLarge)
	case "write_file":
		if m.FileContent == nil {
			return refusal("The argument file_content is missing.")
		}
		if err := tooLarge(*m.FileContent); err != nil {
			return err
		}
		m.done = fmt.Sprintf("Wrote %s of %s.", name, m.Name)
		return m.write(rel, *m.FileContent)
	default: // remove_file; the schema knows no other
		before, problem := m.files.writable(rel)
		switch {
		case problem != "":
			return refusal(problem)
		case before == nil:
			return refusal(m.files.missing(rel))
		}
		m.done = fmt.Sprintf("Removed %s of %s.", name, m.Name)
		return m.apply(change{path: rel, remove: true, before: before, like: before})
	}
}

// check refuses a SKILL.md that would be broken.
func (m *managing) check(content string) error {
	if strings.TrimSpace(content) == "" {
		return refusal("The argument content is missing: it is the whole SKILL.md.")
	}
	if len(content) > skills.MaxFile {
		return refusal(fmt.Sprintf("SKILL.md may have %d KiB. Put the details into files below references/.", skills.MaxFile>>10))
	}
	if _, err := skills.Parse(path.Base(m.skill.Dir), []byte(content)); err != nil {
		return refusal("SKILL.md would be broken: " + err.Error() + ".")
	}
	return nil
}

func tooLarge(content string) error {
	if len(content) > maxSkillFile {
		return refusal("A file of a skill may have 1 MiB.")
	}
	return nil
}

// patch replaces a text in a file, if check agrees with what comes of it.
func (m *managing) patch(rel string, check func(string) error) error {
	if m.NewString == nil {
		return refusal("The argument new_string is missing; it may be empty.")
	}
	file, problem := m.files.load(m.ctx, rel)
	if problem != "" {
		return refusal(problem)
	}
	r, problem := findReplacement(file.text, file.adapt(m.OldString), file.adapt(*m.NewString), false)
	switch {
	case problem != "":
		return refusal(problem)
	case r.done != "":
		m.done = "There is nothing to change in " + rel + ": " + r.done + "."
		return nil
	}
	text := applyEdits(file.text, r.edits)
	if err := check(text); err != nil {
		return err
	}
	m.done = "Changed " + rel + "."
	return m.apply(file.change(text))
}

// write puts a new content into a file.
func (m *managing) write(rel, content string) error {
	before, problem := m.files.writable(rel)
	if problem != "" {
		return refusal(problem)
	}
	return m.apply(change{path: rel, content: []byte(content), before: before, like: before})
}

func (m *managing) apply(c change) error {
	if _, err := m.files.apply(m.ctx, []change{c}); err != nil {
		return refusal(m.files.explain(c.path, err))
	}
	return nil
}

// remove moves a skill to the archive, so that a person can bring it back.
func (m *managing) remove() error {
	root := m.files.root
	if err := root.MkdirAll(skillArchive, 0o700); err != nil {
		return refusal(m.files.explain(skillArchive, err))
	}
	base := m.skill.Name + "-" + time.Now().UTC().Format("20060102T150405Z")
	to := filepath.Join(skillArchive, base)
	for n := 2; ; n++ {
		if _, err := root.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		}
		to = filepath.Join(skillArchive, fmt.Sprintf("%s-%d", base, n))
	}
	if err := root.Rename(m.skill.Dir, to); err != nil {
		return refusal(m.files.explain(m.skill.Dir, err))
	}
	m.done = "Deleted the skill " + m.Name + ". It is kept in skills/" + to + "."
	return nil
}
