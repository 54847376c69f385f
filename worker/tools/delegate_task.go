package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"hermes/worker/llm"
)

// The limits of what is handed on.
const (
	maxAssignments   = 3
	maxGoalRunes     = 4_000
	maxContextRunes  = 20_000
	maxReportRunes   = 8_000
	delegateTaskName = "delegate_task"
)

// Assignment is a task that an agent hands on.
type Assignment struct {
	Goal    string `json:"goal"`
	Context string `json:"context"`
	// Toolsets are names of tools and of groups of them; none means all that a child
	// may have.
	Toolsets []string `json:"toolsets"`
}

// Report is what came of an assignment.
type Report struct {
	// Text is the last that the child said. Ending says in a few words how it ended,
	// Failed that it did not come to its end.
	Text   string
	Ending string
	Failed bool
	// SessionID is where all of it can be read.
	SessionID string
	Steps     int
	Tokens    int
}

// Children runs tasks that an agent hands on: other turns, which it waits for.
type Children interface {
	// Delegate does the assignments beside each other, with no other tools than
	// those of set i for assignment i, and returns their reports in that order. It
	// returns when none of them runs any more; an error means that ctx has ended.
	Delegate(ctx context.Context, assignments []Assignment, sets []*Set) ([]Report, error)
}

// childrenKey is the key of the Children in a context.
type childrenKey struct{}

// WithChildren makes the context of a turn that may hand tasks on. Nil, which is that
// of a child, may not.
func WithChildren(ctx context.Context, children Children) context.Context {
	return context.WithValue(ctx, childrenKey{}, children)
}

// delegateTask is the tool that hands tasks on.
type delegateTask struct {
	spec llm.ToolSpec
	set  *Set
}

func newDelegateTask(set *Set) *delegateTask { return &delegateTask{mustSpec(delegateTaskName), set} }

func (t *delegateTask) Spec() llm.ToolSpec { return t.spec }

func (t *delegateTask) Emoji() string { return "👥" }

// delegateArguments are the arguments of delegate_task.
type delegateArguments struct {
	Assignment
	Tasks []Assignment `json:"tasks"`
}

func (a delegateArguments) all() []Assignment {
	if len(a.Tasks) > 0 {
		return a.Tasks
	}
	return []Assignment{a.Assignment}
}

func (t *delegateTask) Label(input json.RawMessage) string {
	arguments, err := decode[delegateArguments](input)
	if err != nil {
		return ""
	}
	all := arguments.all()
	goals := make([]string, len(all))
	for i, assignment := range all {
		goals[i] = assignment.Goal
	}
	if len(all) == 1 {
		return goals[0]
	}
	return fmt.Sprintf("%d tasks: %s", len(all), strings.Join(goals, " | "))
}

func (t *delegateTask) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[delegateArguments](input)
	if err != nil {
		return Result{}, err
	}
	children, _ := ctx.Value(childrenKey{}).(Children)
	if children == nil {
		return Failure("Tasks cannot be handed on here. Do it yourself."), nil
	}
	assignments := arguments.all()
	if problem := checkAssignments(arguments, assignments); problem != "" {
		return Failure(problem), nil
	}
	sets := make([]*Set, len(assignments))
	for i, assignment := range assignments {
		var problem string
		if sets[i], problem = t.set.forChild(assignment.Toolsets); problem != "" { //nolint:contextcheck // nobody is asked
			return Failure(problem), nil
		}
	}
	reports, err := children.Delegate(ctx, assignments, sets)
	if err != nil {
		return Result{}, err
	}
	return showReports(assignments, reports), nil
}

// checkAssignments says what is wrong with tasks, "" if nothing is.
func checkAssignments(arguments delegateArguments, assignments []Assignment) string {
	switch {
	case len(arguments.Tasks) > 0 && strings.TrimSpace(arguments.Goal) != "":
		return "There are both goal and tasks; give one task in goal, or all of them in tasks."
	case len(assignments) > maxAssignments:
		return fmt.Sprintf("There are %d tasks; at most %d can be handed on at once. Send fewer, and the others afterwards.", len(assignments), maxAssignments)
	}
	for i, assignment := range assignments {
		name := "The task"
		if len(assignments) > 1 {
			name = fmt.Sprintf("Task %d", i+1)
		}
		switch {
		case strings.TrimSpace(assignment.Goal) == "":
			return name + " has no goal; say what is to be done."
		case utf8.RuneCountInString(assignment.Goal) > maxGoalRunes:
			return fmt.Sprintf("%s has a goal longer than %d characters; say more in context.", name, maxGoalRunes)
		case utf8.RuneCountInString(assignment.Context) > maxContextRunes:
			return fmt.Sprintf("%s has a context longer than %d characters; put it into a file and name that.", name, maxContextRunes)
		}
	}
	return ""
}

// notForChildren reports whether a tool is never a child's: it would hand on again,
// ask a person who is not there, or change what is kept for all sessions.
func notForChildren(name string) bool {
	return slices.Contains([]string{delegateTaskName, "clarify", "memory", "skill_manage"}, name)
}

// toolGroup returns the tools that go by one name.
func toolGroup(name string) []string {
	switch name {
	case "terminal":
		return []string{"terminal", "process"}
	case "file", "files":
		return []string{"read_file", "write_file", "patch", "search_files"}
	case "web":
		return []string{"web_search", "web_extract"}
	case "skills":
		return []string{"skills_list", "skill_view"}
	default:
		return nil
	}
}

// forChild returns the tools of a child, or what is wrong with the wish. The set
// belongs to the one that it was made of, and is not closed.
func (s *Set) forChild(wanted []string) (child *Set, problem string) {
	keep := map[string]bool{}
	for _, name := range wanted {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == All {
			wanted = nil
			break
		}
		if group := toolGroup(name); group != nil {
			for _, member := range group {
				keep[member] = true
			}
			continue
		}
		entry := s.find(name)
		if entry == nil {
			return nil, "toolsets: " + s.unknown(name)
		}
		if name = entry.tool.Spec().Name; notForChildren(name) {
			return nil, "toolsets: a helper never gets " + name + "."
		}
		keep[name] = true
	}
	child = &Set{tools: map[string]*entry{}, workspace: s.workspace, jobs: s.jobs, spills: s.spills, log: s.log}
	for _, spec := range s.specs {
		if notForChildren(spec.Name) || len(wanted) > 0 && !keep[spec.Name] {
			continue
		}
		child.tools[spec.Name] = s.tools[spec.Name]
		child.specs = append(child.specs, spec)
		delete(keep, spec.Name)
	}
	switch {
	case s.more == nil:
	case len(wanted) == 0:
		child.more = s.more.beside(child.specs)
	default: // what is left was found among the others
		for _, name := range slices.Sorted(maps.Keys(keep)) {
			if entry := s.more.find(name); entry != nil {
				child.tools[name] = entry
				child.specs = append(child.specs, entry.tool.Spec())
			}
		}
	}
	return child, ""
}

// showReports is what came of tasks, as the model reads it.
func showReports(assignments []Assignment, reports []Report) Result {
	var text strings.Builder
	failed := 0
	for i, report := range reports {
		if i > 0 {
			text.WriteString("\n\n")
		}
		if len(reports) > 1 {
			fmt.Fprintf(&text, "Task %d (%s): ", i+1, shorten(assignments[i].Goal))
		}
		fmt.Fprintf(&text, "%s; %s, %d tokens, session %s", report.Ending, steps(report.Steps), report.Tokens, report.SessionID)
		if said := strings.TrimSpace(report.Text); said != "" {
			text.WriteString("\n" + boundedReport(said, report.SessionID))
		}
		if report.Failed {
			failed++
		}
	}
	return Result{Text: text.String(), Failed: failed == len(reports)}
}

func steps(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprint(n, " steps")
}

func boundedReport(text, sessionID string) string {
	if utf8.RuneCountInString(text) <= maxReportRunes {
		return text
	}
	return string([]rune(text)[:maxReportRunes]) + "\n[cut off here; session_search with session_id " + sessionID + " shows the rest]"
}
