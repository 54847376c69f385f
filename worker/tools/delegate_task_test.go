package tools

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// fakeChildren notes what is handed on and returns reports of it.
type fakeChildren struct {
	asked   []Assignment
	sets    []*Set
	reports []Report
	err     error
}

func (f *fakeChildren) Delegate(ctx context.Context, assignments []Assignment, sets []*Set) ([]Report, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f.asked, f.sets = assignments, sets
	return f.reports[:len(assignments)], f.err
}

func names(set *Set) string {
	var all []string
	for _, spec := range set.Specs() {
		all = append(all, spec.Name)
	}
	return strings.Join(all, " ")
}

func TestDelegateTask(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	done := Report{Text: "It is blue.\n", Ending: "done", SessionID: "task_1", Steps: 2, Tokens: 30}
	failed := Report{Ending: "failed: the model is busy", Failed: true, SessionID: "task_2", Steps: 1}
	three := args{"tasks": []args{{"goal": "a"}, {"goal": "b"}, {"goal": "c"}}}
	long := done
	long.Text = strings.Repeat("ä", maxReportRunes+1)
	tests := []struct {
		name      string
		arguments any
		reports   []Report
		failed    bool
		want      string // a part of the result
	}{
		{"one", args{"goal": "find the colour", "context": "in a.txt"}, []Report{done}, false, "done; 2 steps, 30 tokens, session task_1\nIt is blue."},
		{"three", three, []Report{done, failed, done}, false, "\n\nTask 2 (b): failed: the model is busy; 1 step, 0 tokens, session task_2\n\nTask 3 (c): done; 2 steps"},
		{"all failed", args{"tasks": []args{{"goal": "a"}, {"goal": "b"}}}, []Report{failed, failed}, true, "Task 1 (a): failed"},
		{"a long report", args{"goal": "a"}, []Report{long}, false, "ä\n[cut off here; session_search with session_id task_1 shows the rest]"},
		{"tasks as text", args{"tasks": `[{"goal":"a"}]`}, []Report{done}, false, "done; 2 steps"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			children := &fakeChildren{reports: test.reports}
			got := call(WithChildren(t.Context(), children), t, set, "delegate_task", test.arguments)
			expect(t, got, test.failed, test.want)
			if len(children.asked) != len(test.reports) {
				t.Errorf("handed on %+v", children.asked)
			}
			if n := len(got.Text); n > 2*maxReportRunes+500 {
				t.Errorf("the result has %d bytes", n)
			}
		})
	}
}

// A child has the tools that it may have, and of those the ones that it was given.
func TestToolsOfChildren(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	all := "patch process read_file search_files session_search skill_view skills_list terminal todo web_extract web_search write_file"
	for _, test := range []struct {
		toolsets []string
		want     string
	}{
		{nil, all},
		{[]string{"all"}, all},
		{[]string{"web", " File "}, "patch read_file search_files web_extract web_search write_file"},
		{[]string{"terminal"}, "process terminal"},
		{[]string{"bash", "grep"}, "search_files terminal"},
		{[]string{"skills", "todo"}, "skill_view skills_list todo"},
	} {
		children := &fakeChildren{reports: []Report{{}}}
		call(WithChildren(t.Context(), children), t, set, "delegate_task", args{"goal": "x", "toolsets": test.toolsets})
		if got := names(children.sets[0]); got != test.want {
			t.Errorf("%q: the child has %s", test.toolsets, got)
		}
		for _, name := range []string{"delegate_task", "clarify", "memory", "skill_manage"} {
			got := call(t.Context(), t, children.sets[0], name, args{"goal": "x", "question": "x", "target": "user", "action": "create", "name": "x"})
			expect(t, got, true, "There is no tool "+name)
		}
	}
}

func TestDelegateTaskSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	four := []args{{"goal": "a"}, {"goal": "b"}, {"goal": "c"}, {"goal": "d"}}
	for _, test := range []struct {
		arguments any
		want      string
	}{
		{args{}, "The task has no goal; say what is to be done."},
		{args{"goal": " ", "context": "x"}, "The task has no goal"},
		{args{"tasks": four}, "There are 4 tasks; at most 3 can be handed on at once. Send fewer, and the others afterwards."},
		{args{"goal": "x", "tasks": four[:1]}, "There are both goal and tasks"},
		{args{"tasks": []args{{"goal": "a"}, {"context": "b"}}}, "Task 2 has no goal"},
		{args{"tasks": 3}, "the argument tasks must be a list"},
		{args{"tasks": []any{"a", 5}}, "the argument tasks must be a list"},
		{args{"tasks": []args{{"goal": args{"a": 1}}}}, "the argument tasks must be a list"},
		{args{"goal": "x", "toolsets": 3}, "the argument toolsets must be a list"},
		{args{"goal": "x", "toolsets": []string{"browser"}}, "toolsets: There is no tool browser."},
		{args{"goal": "x", "toolsets": []string{"memory"}}, "toolsets: a helper never gets memory."},
		{args{"goal": strings.Repeat("x", maxGoalRunes+1)}, "a goal longer than 4000 characters"},
		{args{"goal": "x", "context": strings.Repeat("x", maxContextRunes+1)}, "put it into a file"},
		{`{"goal":"x`, "cut off"},
	} {
		children := &fakeChildren{reports: make([]Report, 4)}
		expect(t, call(WithChildren(t.Context(), children), t, set, "delegate_task", test.arguments), true, test.want)
		if children.asked != nil {
			t.Errorf("%v was handed on", test.arguments)
		}
	}
	for _, ctx := range []context.Context{t.Context(), WithChildren(WithChildren(t.Context(), &fakeChildren{}), nil)} {
		expect(t, call(ctx, t, set, "delegate_task", args{"goal": "x"}), true, "Tasks cannot be handed on here.")
	}
}

// The end of the turn is no result.
func TestDelegateTaskIsCancelled(t *testing.T) {
	t.Parallel()
	set, _ := newSet(t)
	gone := errors.New("gone")
	_, err := set.Run(WithChildren(t.Context(), &fakeChildren{reports: make([]Report, 1), err: gone}), toolCall("delegate_task", `{"goal":"x"}`))
	if !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
}
