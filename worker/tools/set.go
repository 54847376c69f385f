package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"hermes/supervisor/sandbox"
	"hermes/worker/llm"
	"hermes/worker/memory"
	"hermes/worker/office"
	"hermes/worker/policy"
	"hermes/worker/skills"
	"hermes/worker/web"
)

// All is the name that stands for every tool in Options.Enabled.
const All = "all"

// Options say what a Set works with. Workspace, Sandbox,
// Memory and Skills are needed.
type Options struct {
	// Workspace is the directory that the tools work in. It is made if it is
	// missing.
	Workspace string
	// Home is HOME of the commands. It is made if it is missing; empty means the
	// workspace.
	Home    string
	Sandbox *sandbox.Sandbox
	// Memory and Skills are what the tools of these names work with.
	Memory *memory.Memory
	Skills *skills.Library
	// TerminalTimeout ends a command that asks for no timeout of its own. 0 means
	// three minutes.
	TerminalTimeout time.Duration
	// Web is what the web tools work with; without it they only say so. It belongs
	// to the caller.
	Web *web.Client
	// PDF returns the text of a PDF document, limit bytes of it at most; PDFs are
	// refused if it is nil.
	PDF func(ctx context.Context, data []byte, limit int) (string, error)
	// Office reads other documents; nil means one of its own.
	Office *office.Reader
	// Enabled names the tools that there are to be. All and nil mean each one, an
	// empty list none.
	Enabled []string
	// Environ is where PATH, LANG and TZ of the commands come from; os.Environ()
	// if nil. Nothing else of it reaches a command.
	Environ []string
	// Sessions is what was said before, and Tasks keeps what is to be done; without
	// them their tools only say so.
	Sessions Sessions
	Tasks    TaskKeeper
	// Jobs keeps the records of background jobs. They end with the Set if it is
	// nil.
	Jobs JobRecords
	// OnJobs is told how many jobs run whenever that changes, one call at a time.
	OnJobs func(running int)
	// Policy says which commands may run. The workspace and the home are filled in;
	// the zero value is the strictest.
	Policy policy.Options
	// Audit keeps what was decided about a command, before it runs. When it fails,
	// the command does not run. Nil keeps nothing.
	Audit func(ctx context.Context, decision Decision) error
	// More are further tools, whatever Enabled says. Window is how many tokens the
	// model's context has, 0 if nobody knows: when the schemas of More would take too
	// much of it, they are looked for with tool_search. It may be nil.
	More   More
	Window func(ctx context.Context) int
	// Profile is what an admin calls the agent, "" for the default profile. It is
	// told to a model whose command was denied.
	Profile string
	Log     *slog.Logger // nil discards
}

// enables says whether a tool is to be there.
func (o Options) enables(name string) bool {
	return o.Enabled == nil || slices.Contains(o.Enabled, All) || slices.Contains(o.Enabled, name)
}

// Set is the tools of one worker. It checks what a model asks for and hands it to
// the right tool. Many turns may use it at once.
type Set struct {
	tools     map[string]*entry
	specs     []llm.ToolSpec
	more      *moreTools // nil without further ones
	workspace *workspace
	spills    *spills
	jobs      *jobs
	log       *slog.Logger
}

// entry is a tool with the schema of its arguments.
type entry struct {
	tool   Tool
	schema interface {
		// prepare reads and checks arguments. Its error is a clause for the model.
		prepare(arguments string) (json.RawMessage, error)
	}
	// long says that results may be longer than a model can read.
	long bool
}

// NewSet makes the tools. Close gives back what they hold.
func NewSet(opts Options) (*Set, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Memory == nil || opts.Skills == nil {
		return nil, errors.New("tools need a memory and skills")
	}
	if opts.Environ == nil {
		opts.Environ = os.Environ()
	}
	workspace, err := openWorkspace(opts.Workspace)
	if err != nil {
		return nil, err
	}
	s := &Set{tools: make(map[string]*entry), workspace: workspace, jobs: newJobs(opts.Jobs, opts.OnJobs, opts.Log), log: opts.Log}
	if err := s.add(opts); err != nil {
		return nil, errors.Join(err, workspace.close())
	}
	if opts.More != nil {
		if opts.Window == nil {
			opts.Window = func(context.Context) int { return 0 }
		}
		s.more = newMoreTools(opts, s.specs)
	}
	return s, nil
}

// add makes the tools that are enabled.
func (s *Set) add(opts Options) error {
	approval, err := newApproval(opts, s.workspace)
	if err != nil {
		return err
	}
	process := newProcess(s.jobs, approval)
	var background *jobs
	if opts.enables(process.spec.Name) {
		background = s.jobs
	}
	terminal, err := newTerminal(opts, s.workspace, approval, background)
	if err != nil {
		return err
	}
	s.spills = terminal.spills
	files := &skillFiles{library: opts.Skills}
	all := []Tool{
		terminal,
		process,
		newReadFile(opts, s.workspace),
		newWriteFile(s.workspace),
		newPatch(s.workspace),
		newSearchFiles(opts, s.workspace),
		newWebSearch(opts),
		newSessionSearch(opts.Sessions),
		newTodo(opts.Tasks),
		newDelegateTask(s),
		newClarify(),
		newWebExtract(opts, s.workspace),
		newMemory(opts.Memory),
		newSkillsList(opts.Skills),
		newSkillView(files),
		newSkillManage(files),
	}
	slices.SortFunc(all, func(a, b Tool) int { return cmp.Compare(a.Spec().Name, b.Spec().Name) })
	names := make([]string, len(all))
	for i, tool := range all {
		names[i] = tool.Spec().Name
	}
	for _, name := range opts.Enabled {
		if name != All && !slices.Contains(names, name) {
			return fmt.Errorf("there is no tool %q; the tools are %s, or %s", name, strings.Join(names, ", "), All)
		}
	}
	for _, tool := range all {
		spec := tool.Spec()
		if !opts.enables(spec.Name) {
			continue
		}
		s.tools[spec.Name] = &entry{tool: tool, schema: newLateSchema(spec)}
		s.specs = append(s.specs, spec)
	}
	return nil
}

// Specs describes the tools to a model, sorted by name: what a new session is
// offered, as far as it is known without asking anybody. The caller must not change
// them.
func (s *Set) Specs() []llm.ToolSpec {
	if s.more == nil {
		return s.specs
	}
	return s.more.refresh(context.Background()).specs
}

// SessionSpecs are the Specs that the first turn of a session had, in this process:
// the same bytes go into each of its requests. That first turn may wait for tools
// which nobody knows yet.
func (s *Set) SessionSpecs(ctx context.Context, sessionID string) []llm.ToolSpec {
	if s.more == nil {
		return s.specs
	}
	return s.more.specs(ctx, sessionID)
}

// Run runs a call. Whatever is wrong with the call, or goes wrong in the tool, is
// told in the Result; an error means that ctx has ended.
func (s *Set) Run(ctx context.Context, call llm.ToolCall) (result Result, err error) {
	if ctx.Err() != nil { // no tool begins in a turn that has ended
		return Result{}, context.Cause(ctx)
	}
	entry := s.find(call.Name)
	if entry == nil {
		return Failure(s.unknown(call.Name)), nil //nolint:contextcheck // nobody is asked
	}
	input, err := entry.schema.prepare(call.Arguments)
	if err != nil {
		name := entry.tool.Spec().Name
		return Result{Text: fmt.Sprintf("%s was not run: %s", name, err), Failed: true, Misused: name}, nil
	}
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("tool panicked", "tool", entry.tool.Spec().Name, "panic", cause, "stack", string(debug.Stack()))
			result, err = Failure(entry.tool.Spec().Name+" broke while it ran; what it has done until then is unknown. This is a bug of the tool."), nil
		}
	}()
	result, err = entry.tool.Run(withCallID(ctx, call.ID), input)
	if entry.long {
		result = s.spills.bounded(result)
	}
	return result, err
}

// gated is implemented by tools that run commands. It says for a call that is only
// watched which words of it the policy denies.
type gated interface {
	denies(ctx context.Context, input json.RawMessage) (words string, denied bool)
}

// Describe returns the emoji and the label of a call, for a person who watches. It
// has to be asked before the call runs: what is denied depends on where a command
// begins.
func (s *Set) Describe(ctx context.Context, call llm.ToolCall) (emoji, label string) {
	entry := s.find(call.Name)
	if entry == nil {
		return "⚡", shorten(call.Name)
	}
	name := entry.tool.Spec().Name
	input, err := entry.schema.prepare(call.Arguments)
	if err != nil {
		return entry.tool.Emoji(), name
	}
	if gated, ok := entry.tool.(gated); ok {
		if words, denied := gated.denies(ctx, input); denied {
			return entry.tool.Emoji(), shorten("denied: " + words)
		}
	}
	return entry.tool.Emoji(), cmp.Or(shorten(entry.tool.Label(input)), name)
}

// Concurrent reports whether calls of the tool may run beside each other.
func (s *Set) Concurrent(name string) bool {
	entry := s.find(name)
	if entry == nil {
		return false
	}
	concurrent, ok := entry.tool.(Concurrent)
	return ok && concurrent.Concurrent()
}

// Close ends the background jobs and gives back what the tools hold. No call may
// run any more.
func (s *Set) Close() {
	s.jobs.close()
	if err := s.workspace.close(); err != nil {
		s.log.Warn("close workspace", "error", err)
	}
}

// callIDKey is the key of the call's id in a context.
type callIDKey struct{}

func withCallID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, callIDKey{}, id)
}

// callID returns the id of the call that ctx belongs to, or "".
func callID(ctx context.Context) string {
	id, _ := ctx.Value(callIDKey{}).(string)
	return id
}

// decode reads arguments that the Set has checked.
func decode[T any](input json.RawMessage) (T, error) {
	var arguments T
	if err := json.Unmarshal(input, &arguments); err != nil {
		return arguments, fmt.Errorf("read arguments: %w", err)
	}
	return arguments, nil
}
