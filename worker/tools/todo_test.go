package tools

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// keptTasks keeps lists in memory.
type keptTasks struct {
	lists map[string][]byte
	err   error
}

func (k *keptTasks) Tasks(ctx context.Context, sessionID string) ([]byte, error) {
	return k.lists[sessionID], errors.Join(k.err, ctx.Err())
}

func (k *keptTasks) ChangeTasks(ctx context.Context, sessionID string, change func([]byte) ([]byte, error)) error {
	if err := errors.Join(k.err, ctx.Err()); err != nil {
		return err
	}
	list, err := change(k.lists[sessionID])
	if err == nil {
		k.lists[sessionID] = list
	}
	return err
}

// newTodoSet makes tools that keep tasks, and the context of a turn.
func newTodoSet(t *testing.T) (*Set, *keptTasks, context.Context) {
	t.Helper()
	tasks := &keptTasks{lists: map[string][]byte{}}
	set, err := NewSet(kept(Options{Workspace: filepath.Join(t.TempDir(), "w"), Sandbox: box, Tasks: tasks}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	return set, tasks, WithTurn(t.Context(), Turn{SessionID: "s", RunID: "r"})
}

func TestTodo(t *testing.T) {
	t.Parallel()
	set, _, ctx := newTodoSet(t)
	expect(t, call(ctx, t, set, "todo", `{}`), false, "There are no tasks.")
	got := call(ctx, t, set, "todo", `{"todos":[{"id":1,"content":"plan","status":"completed"},{"id":"2","content":" build ","status":"in_progress","parent":1},{"id":"3","content":"test","parent":null}]}`)
	want := "3 tasks: 1 completed, 1 in progress, 1 pending, 0 cancelled\n1: [completed] plan\n2: [in_progress] build (part of 1)\n3: [pending] test\n"
	if got.Failed || got.Text != want || len(got.Tasks) != 3 {
		t.Errorf("got %+v", got)
	}
	expect(t, call(ctx, t, set, "todo", ``), false, want)
	got = call(ctx, t, set, "todo", `{"merge":true,"todos":[{"id":"2","status":"completed"},{"id":"4","content":"ship"}]}`)
	expect(t, got, false, "4 tasks: 2 completed, 0 in progress, 2 pending, 0 cancelled\n1: [completed] plan\n2: [completed] build (part of 1)\n")
	other := WithTurn(t.Context(), Turn{SessionID: "other"})
	expect(t, call(other, t, set, "todo", `{}`), false, "There are no tasks.")
	got = call(ctx, t, set, "todo", `{"todos":[]}`)
	expect(t, got, false, "There are no tasks.")
	if got.Tasks == nil {
		t.Error("that the list is empty is not told")
	}
	expect(t, call(ctx, t, set, "todo", `{"todos":"[{\"id\":\"1\",\"content\":\"as text\"}]"}`), false, "1: [pending] as text")
}

func TestTodoRefuses(t *testing.T) {
	t.Parallel()
	set, kept, ctx := newTodoSet(t)
	call(ctx, t, set, "todo", `{"todos":[{"id":"1","content":"stays","status":"in_progress"}]}`)
	before := string(kept.lists["s"])
	many := make([]Task, maxTasks+1)
	for i := range many {
		many[i] = Task{ID: fmt.Sprint(i), Content: "x", Status: taskPending}
	}
	one := func(task Task) args { task.Status = taskPending; return args{"todos": []Task{task}} }
	tests := []struct {
		name      string
		arguments any
		want      string
	}{
		{"no list", `{"todos":5}`, "the argument todos must be a list"},
		{"no objects", `{"todos":["a"]}`, "the argument todos must be a list"},
		{"no id", `{"todos":[{"content":"x"}]}`, "id"},
		{"empty id", one(Task{Content: "x"}), "A task has no id."},
		{"long id", one(Task{ID: strings.Repeat("x", 65), Content: "x"}), "longer than 64 bytes"},
		{"bad status", `{"todos":[{"id":"1","content":"x","status":"maybe"}]}`, "status"},
		{"no content", one(Task{ID: "1"}), "Task 1 has no content."},
		{"content is an object", `{"todos":[{"id":"1","content":{}}]}`, "content"},
		{"two of one id", args{"todos": []Task{{ID: "1", Content: "x", Status: taskPending}, {ID: "1", Content: "y", Status: taskPending}}}, "Two tasks have the id 1."},
		{"two at once", `{"merge":true,"todos":[{"id":"2","content":"x","status":"in_progress"}]}`, "Tasks 1 and 2 would both be in_progress"},
		{"too many", args{"todos": many}, "There would be 257 tasks; keep at most 256."},
		{"too long", one(Task{ID: "1", Content: strings.Repeat("ä", 4001)}), "longer than 4000 characters"},
		{"no such parent", one(Task{ID: "1", Content: "x", Parent: "9"}), "Task 1 is part of 9, which is not in the list."},
		{"its own parent", one(Task{ID: "1", Content: "x", Parent: "1"}), "Task 1 is part of itself."},
		{"cut off", `{"todos":[{"id":"1","con`, "cut off"},
	}
	for _, test := range tests {
		if got := call(ctx, t, set, "todo", test.arguments); !got.Failed || !strings.Contains(got.Text, test.want) || got.Tasks != nil {
			t.Errorf("%s: failed %v, %s", test.name, got.Failed, got.Text)
		}
	}
	if after := string(kept.lists["s"]); after != before {
		t.Errorf("the list is now %s", after)
	}
	expect(t, call(t.Context(), t, set, "todo", `{}`), true, "no place to keep tasks")
	kept.err = errors.New("disk is full")
	expect(t, call(ctx, t, set, "todo", `{}`), true, "could not be kept: disk is full")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := set.Run(cancelled, toolCall("todo", `{}`)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
