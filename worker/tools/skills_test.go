package tools

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// skillText is a SKILL.md.
func skillText(name string) string {
	return "---\nname: " + name + "\ndescription: How to do " + name + ".\nlicense: MIT\nmetadata: {tags: [x]}\n---\n\n# " + name + "\n\nStep one.\n"
}

func TestSkillsFromCreationToDeletion(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	home := filepath.Dir(dir)
	manage := func(arguments args, failed bool, want string) {
		t.Helper()
		expect(t, call(t.Context(), t, set, "skill_manage", arguments), failed, want)
	}
	expect(t, call(t.Context(), t, set, "skills_list", args{}), false, "There are no skills yet.")
	manage(args{"action": "create", "name": "letters", "category": "writing", "content": skillText("letters")}, false, "Created the skill letters. The index in your prompt shows it from the next session on.")
	manage(args{"action": "create", "name": "letters", "content": skillText("letters")}, true, "There is a skill letters already, in writing/letters.")
	manage(args{"action": "create", "name": "deep", "category": "writing/letters", "content": skillText("deep")}, true, "writing/letters is a skill, not a category.")
	manage(args{"action": "patch", "name": "letters", "old_string": "Step one.", "new_string": "Step 1."}, false, "Changed writing/letters/SKILL.md.")
	manage(args{"action": "patch", "name": "letters", "old_string": "Step 1."}, true, "The argument new_string is missing")
	manage(args{"action": "patch", "name": "letters", "old_string": "name: letters", "new_string": "name: notes"}, true, "SKILL.md would be broken: its name notes")
	manage(args{"action": "edit", "name": "letters", "content": "no frontmatter"}, true, "Nothing was changed. SKILL.md would be broken")
	manage(args{"action": "write_file", "name": "letters", "file_path": "references/tone.md", "file_content": "Warm.\n"}, false, "Wrote references/tone.md of letters.")
	manage(args{"action": "write_file", "name": "letters", "file_path": "references/tone.md"}, true, "file_content is missing")
	manage(args{"action": "patch", "name": "letters", "file_path": "references/tone.md", "old_string": "Warm.", "new_string": "Warm, brief."}, false, "Changed")
	for _, path := range []string{"", "tone.md", "../tone.md", "references", "references/../../x", "references/", "/etc/passwd", "SKILL.md", "references/a\x00b"} {
		manage(args{"action": "write_file", "name": "letters", "file_path": path, "file_content": "x"}, true, "file_path must name a file below references/, templates/, scripts/, assets/.")
	}
	manage(args{"action": "write_file", "name": "letters", "file_path": "assets/big", "file_content": strings.Repeat("x", maxSkillFile+1)}, true, "1 MiB")

	view := call(t.Context(), t, set, "skill_view", args{"name": "letters"})
	expect(t, view, false, "Step 1.\n\n[The skill lies in "+filepath.Join(home, "skills", "writing", "letters")+". Its files, each to be read with file_path: references/tone.md]\n")
	if !strings.HasPrefix(view.Text, "---\nname: letters\n") {
		t.Errorf("the skill is numbered: %s", view.Text)
	}
	expect(t, call(t.Context(), t, set, "skill_view", args{"name": "letters", "file_path": "references/tone.md"}), false, "Warm, brief.\n")
	expect(t, call(t.Context(), t, set, "skill_view", args{"name": "leters"}), true, "Did you mean letters?")
	expect(t, call(t.Context(), t, set, "skill_view", args{"name": "letters", "file_path": "references/no.md"}), true, "does not exist")

	put(t, home, "skills/odd/SKILL.md", "---\nname: even\ndescription: x\n---\n")
	expect(t, call(t.Context(), t, set, "skills_list", args{}), false,
		"- letters [writing]: How to do letters.\n- odd is broken: its name even is not that of its directory odd\n")
	expect(t, call(t.Context(), t, set, "skills_list", args{"category": "writing"}), false, "- letters [writing]")
	expect(t, call(t.Context(), t, set, "skills_list", args{"category": "cooking"}), true, "The categories are writing.")
	manage(args{"action": "edit", "name": "odd", "content": skillText("odd")}, false, "Wrote SKILL.md of odd.")

	manage(args{"action": "remove_file", "name": "letters", "file_path": "references/tone.md"}, false, "Removed")
	manage(args{"action": "remove_file", "name": "letters", "file_path": "references/tone.md"}, true, "does not exist")
	for range 2 {
		manage(args{"action": "delete", "name": "odd"}, false, "Deleted the skill odd. It is kept in skills/.archive/odd-")
		manage(args{"action": "create", "name": "odd", "content": skillText("odd")}, false, "Created")
	}
	kept, err := filepath.Glob(filepath.Join(home, "skills", ".archive", "odd-*", "SKILL.md"))
	if err != nil || len(kept) != 2 {
		t.Errorf("the archive holds %q, %v", kept, err)
	}
}

func TestSkillFilesStayInTheirDirectory(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	home := filepath.Dir(dir)
	put(t, home, "outside/secret.md", "secret\n")
	put(t, home, "outside/SKILL.md", skillText("linked"))
	put(t, home, "skills/a/SKILL.md", skillText("a"))
	put(t, home, "skills/a/assets/picture.png", "\x89PNG\r\n\x1a\n\x00\x00")
	put(t, home, "skills/a/assets/long", numbered(3000))
	for name, target := range map[string]string{
		"skills/linked": "../outside", "skills/a/references": "../../outside", "skills/a/assets/link": "../../../outside/secret.md",
	} {
		if err := os.Symlink(target, filepath.Join(home, name)); err != nil {
			t.Fatal(err)
		}
	}
	before := tree(t, filepath.Join(home, "outside"))
	for _, path := range []string{"references/secret.md", "assets/link"} {
		for _, arguments := range []args{
			{"action": "write_file", "file_content": "leak"}, {"action": "patch", "old_string": "secret", "new_string": "leak"},
		} {
			arguments["name"], arguments["file_path"] = "a", path
			expect(t, call(t.Context(), t, set, "skill_manage", arguments), true, "Nothing was changed. ")
		}
		result := call(t.Context(), t, set, "skill_view", args{"name": "a", "file_path": path})
		if !result.Failed || strings.Contains(result.Text, "secret\n") {
			t.Errorf("%s: %+v", path, result)
		}
	}
	expect(t, call(t.Context(), t, set, "skill_view", args{"name": "linked"}), true, "symbolic link")
	expect(t, call(t.Context(), t, set, "skills_list", args{}), false, "linked is broken: it is a symbolic link, which is not followed")
	expect(t, call(t.Context(), t, set, "skill_view", args{"name": "a", "file_path": "assets/picture.png"}), true, "is a binary file")
	for offset, want := range map[int]string{1: "\n2000\n[lines 1 to 2000 of 3000; read on with offset 2001]", 2001: "2001\n2002\n", 4000: "beyond its end"} {
		result := call(t.Context(), t, set, "skill_view", args{"name": "a", "file_path": "assets/long", "offset": offset})
		expect(t, result, offset == 4000, want)
	}
	if after := tree(t, filepath.Join(home, "outside")); after != before {
		t.Errorf("outside something has changed:\n%s", after)
	}
}
