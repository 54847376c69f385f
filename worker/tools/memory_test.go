package tools

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hermes/worker/memory"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	home := filepath.Dir(dir)
	expect(t, call(t.Context(), t, set, "memory", args{"target": "user", "action": "add", "content": " Likes tea. "}), false,
		"user: 1 added. It holds 1 entry now, 10 of 2000 characters. Your prompt shows it from the next session on.")
	expect(t, call(t.Context(), t, set, "memory", args{"target": "user", "action": "add", "content": "Likes  tea."}), false, "user: 1 there already.")
	expect(t, call(t.Context(), t, set, "memory", args{"target": "user", "operations": []args{
		{"action": "ADD", "content": "Lives in Bonn."},
		{"action": "replace", "old_text": "tea", "content": "Likes coffee."},
		{"action": "add", "content": "Has a cat."},
		{"action": "remove", "old_text": "Bonn"},
	}}), false, "user: 2 added, 1 replaced, 1 removed.")
	if got, want := content(t, home, "memories/USER.md"), "Likes coffee.\n§\nHas a cat.\n"; got != want {
		t.Errorf("USER.md is %q, want %q", got, want)
	}
	expect(t, call(t.Context(), t, set, "memory", args{"target": "user", "action": "remove", "old_text": "."}), true,
		"Nothing was saved. old_text is in 2 entries; give more of the one that is meant:\n- Likes coffee.\n- Has a cat.")
	expect(t, call(t.Context(), t, set, "memory", args{"target": "user", "action": "remove", "old_text": "dog"}), true, "The entries are:\n- Likes coffee.\n- Has a cat.")
	expect(t, call(t.Context(), t, set, "memory", args{"target": "user", "operations": []args{{"action": "remove", "old_text": "cat"}, {"action": "remove", "old_text": "dog"}}}), true, "Operation 2 of 2")
	if got, want := content(t, home, "memories/USER.md"), "Likes coffee.\n§\nHas a cat.\n"; got != want {
		t.Errorf("a batch that failed left %q, want %q", got, want)
	}
}

func TestFullMemoryTellsWhatWentToTheArchive(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	for i := range 5 {
		result := call(t.Context(), t, set, "memory", args{"target": "memory", "action": "add", "content": fmt.Sprint(i, strings.Repeat(" x", 450))})
		expect(t, result, false, "memory: 1 added.")
		if archived := strings.Contains(result.Text, "Tell the person"); archived != (i == 4) {
			t.Errorf("after %d entries: %s", i+1, result.Text)
		}
		if i == 4 {
			expect(t, result, false, "mind:\n- 0 x x")
		}
	}
	if got := content(t, filepath.Dir(dir), "memories/ARCHIVE.jsonl"); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"target":"memory","text":"0 x`) {
		t.Errorf("the archive is %s", got)
	}
}

// Sessions that save at once, through two sets as two processes have them, lose
// nothing.
func TestMemoryOfManySessionsAtOnce(t *testing.T) {
	t.Parallel()
	first, dir := newSet(t)
	second, err := NewSet(kept(Options{Workspace: dir, Sandbox: box}))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	var wg sync.WaitGroup
	for i := range 40 {
		set := []*Set{first, second}[i%2]
		wg.Go(func() {
			result, err := set.Run(t.Context(), toolCall("memory", fmt.Sprintf(`{"target":"memory","action":"add","content":"fact %d"}`, i)))
			if err != nil || result.Failed {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
	wg.Wait()
	entries, err := memory.New(memory.Options{Dir: filepath.Join(filepath.Dir(dir), "memories")}).Entries(memory.Notes)
	if err != nil || len(entries) != 40 {
		t.Errorf("%d entries, %v, want 40", len(entries), err)
	}
}

// The tools of files do not reach what the agent keeps beside the workspace.
func TestFileToolsDoNotReachMemoryOrSkills(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	home := filepath.Dir(dir)
	put(t, home, "memories/MEMORY.md", "secret\n")
	put(t, home, "skills/a/SKILL.md", "secret\n")
	put(t, dir, "inside.txt", "harmless\n")
	for _, kept := range []string{"memories", "skills"} {
		before := tree(t, filepath.Join(home, kept))
		for _, file := range map[string][]string{"memories": {"memories/MEMORY.md"}, "skills": {"skills/a/SKILL.md"}}[kept] {
			for _, path := range []string{"../" + file, filepath.Join(home, file), "x/../../" + file} {
				for _, c := range fileCalls() {
					result := call(t.Context(), t, set, c.tool, withPath(c.arguments, path))
					if !result.Failed || strings.Contains(result.Text, "secret\n") {
						t.Errorf("%s %s: failed %v, %s", c.tool, path, result.Failed, result.Text)
					}
				}
			}
		}
		if after := tree(t, filepath.Join(home, kept)); after != before {
			t.Errorf("%s has changed:\n%s", kept, after)
		}
	}
}

func TestCancelledCallsOfMemoryAndSkillsWriteNothing(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	home := filepath.Dir(dir)
	put(t, home, "memories/MEMORY.md", "a\n")
	put(t, home, "skills/a/SKILL.md", skillText("a"))
	before := tree(t, home)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("client has gone")
	cancel(gone)
	for tool, arguments := range map[string]string{
		"memory": `{"target":"memory","action":"add","content":"x"}`, "skills_list": `{}`, "skill_view": `{"name":"a"}`,
		"skill_manage": `{"action":"delete","name":"a"}`,
	} {
		if result, err := set.Run(ctx, toolCall(tool, arguments)); !errors.Is(err, gone) {
			t.Errorf("%s: %+v, %v", tool, result, err)
		}
	}
	if after := tree(t, home); after != before {
		t.Errorf("something has changed:\n%s", after)
	}
}
