package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"hermes/worker/llm"
)

// The limits of a list of tasks.
const (
	maxTasks     = 256
	maxTaskRunes = 4000
	maxTaskID    = 64
)

// What a task can be.
const (
	taskPending    = "pending"
	taskInProgress = "in_progress"
	taskCompleted  = "completed"
	taskCancelled  = "cancelled"
)

// Task is one entry of the list that an agent makes of its work.
type Task struct {
	ID      string `json:"id"`
	Content string `json:"content"`
	// Status is pending, in_progress, completed or cancelled.
	Status string `json:"status"`
	// Parent is the ID of the task that this one is part of, or "".
	Parent string `json:"parent,omitempty"`
}

// TaskKeeper keeps the list of tasks of each session.
type TaskKeeper interface {
	// Tasks returns the list of a session as it was written, nil if it has none.
	Tasks(ctx context.Context, sessionID string) ([]byte, error)
	// ChangeTasks replaces the list by what change makes of it. Nobody else changes
	// it meanwhile. The error of change comes back, and then nothing is changed.
	ChangeTasks(ctx context.Context, sessionID string, change func(list []byte) ([]byte, error)) error
}

// todo is the tool that keeps a list of tasks.
type todo struct {
	spec   llm.ToolSpec
	keeper TaskKeeper
}

func newTodo(keeper TaskKeeper) *todo { return &todo{mustSpec("todo"), keeper} }

func (t *todo) Spec() llm.ToolSpec { return t.spec }

func (t *todo) Emoji() string { return "📋" }

// todoArguments are the arguments of todo.
type todoArguments struct {
	Todos *[]Task `json:"todos"` // nil reads
	Merge bool    `json:"merge"`
}

func (t *todo) Label(input json.RawMessage) string {
	arguments, err := decode[todoArguments](input)
	switch {
	case err != nil:
		return ""
	case arguments.Todos == nil:
		return "reading the tasks"
	default:
		return fmt.Sprintf("planning %d task(s)", len(*arguments.Todos))
	}
}

// refusedError tells a model what is wrong with its list.
type refusedError string

func (e refusedError) Error() string { return string(e) }

func (t *todo) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[todoArguments](input)
	if err != nil {
		return Result{}, err
	}
	session := TurnOf(ctx).SessionID
	if t.keeper == nil || session == "" {
		return Failure("There is no place to keep tasks here."), nil
	}
	var list []Task
	if arguments.Todos == nil {
		var kept []byte
		if kept, err = t.keeper.Tasks(ctx, session); err == nil {
			list, err = readTasks(kept)
		}
	} else {
		err = t.keeper.ChangeTasks(ctx, session, func(kept []byte) ([]byte, error) {
			if list, err = changedTasks(kept, *arguments.Todos, arguments.Merge); err != nil {
				return nil, err
			}
			return json.Marshal(list)
		})
	}
	refused, isRefused := errors.AsType[refusedError](err)
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case isRefused:
		return Failure(string(refused)), nil
	case err != nil:
		return Failure("The tasks could not be kept: " + err.Error()), nil
	}
	return Result{Text: showTasks(list), Tasks: list}, nil
}

func readTasks(kept []byte) ([]Task, error) {
	list := []Task{}
	if len(kept) == 0 {
		return list, nil
	}
	if err := json.Unmarshal(kept, &list); err != nil {
		return nil, fmt.Errorf("read tasks: %w", err)
	}
	return list, nil
}

// changedTasks is the list that follows from one that is kept and what a model
// wants of it.
func changedTasks(kept []byte, wanted []Task, merge bool) ([]Task, error) {
	list := []Task{}
	if merge {
		var err error
		if list, err = readTasks(kept); err != nil {
			return nil, err
		}
	}
	given := map[string]bool{}
	for _, task := range wanted {
		task.ID, task.Parent, task.Content = strings.TrimSpace(task.ID), strings.TrimSpace(task.Parent), strings.TrimSpace(task.Content)
		if given[task.ID] {
			return nil, refusedError(fmt.Sprintf("Two tasks have the id %s.", shorten(task.ID)))
		}
		given[task.ID] = true
		i := slices.IndexFunc(list, func(other Task) bool { return other.ID == task.ID })
		if i < 0 {
			list = append(list, Task{ID: task.ID, Status: taskPending})
			i = len(list) - 1
		}
		if task.Content != "" {
			list[i].Content = task.Content
		}
		if task.Status != "" {
			list[i].Status = task.Status
		}
		if task.Parent != "" {
			list[i].Parent = task.Parent
		}
	}
	return list, checkTasks(list)
}

// checkTasks says what is wrong with a list.
func checkTasks(list []Task) error {
	if len(list) > maxTasks {
		return refusedError(fmt.Sprintf("There would be %d tasks; keep at most %d.", len(list), maxTasks))
	}
	parents := map[string]string{}
	for _, task := range list {
		parents[task.ID] = task.Parent
	}
	current := ""
	for _, task := range list {
		name := shorten(task.ID)
		switch {
		case task.ID == "":
			return refusedError("A task has no id.")
		case len(task.ID) > maxTaskID:
			return refusedError(fmt.Sprintf("The id %s is longer than %d bytes.", name, maxTaskID))
		case task.Content == "":
			return refusedError(fmt.Sprintf("Task %s has no content.", name))
		case utf8.RuneCountInString(task.Content) > maxTaskRunes:
			return refusedError(fmt.Sprintf("The content of task %s is longer than %d characters.", name, maxTaskRunes))
		case task.Status == taskInProgress && current != "":
			return refusedError(fmt.Sprintf("Tasks %s and %s would both be in_progress; work on one at a time.", current, name))
		}
		if task.Status == taskInProgress {
			current = name
		}
		steps := 0
		for parent := task.Parent; parent != ""; parent = parents[parent] {
			if _, known := parents[parent]; !known {
				return refusedError(fmt.Sprintf("Task %s is part of %s, which is not in the list.", name, shorten(parent)))
			}
			if steps++; steps > len(list) {
				return refusedError(fmt.Sprintf("Task %s is part of itself.", name))
			}
		}
	}
	return nil
}

// showTasks is the list as the model reads it.
func showTasks(list []Task) string {
	if len(list) == 0 {
		return "There are no tasks."
	}
	count := map[string]int{}
	for _, task := range list {
		count[task.Status]++
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d tasks: %d completed, %d in progress, %d pending, %d cancelled\n",
		len(list), count[taskCompleted], count[taskInProgress], count[taskPending], count[taskCancelled])
	for _, task := range list {
		fmt.Fprintf(&text, "%s: [%s] %s", task.ID, task.Status, task.Content)
		if task.Parent != "" {
			fmt.Fprintf(&text, " (part of %s)", task.Parent)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// OpenTasks returns the tasks of a session that are neither completed nor cancelled.
func OpenTasks(ctx context.Context, keeper TaskKeeper, sessionID string) ([]Task, error) {
	kept, err := keeper.Tasks(ctx, sessionID)
	if err != nil {
		return nil, err
	}
	list, err := readTasks(kept)
	return slices.DeleteFunc(list, func(task Task) bool { return task.Status == taskCompleted || task.Status == taskCancelled }), err
}
