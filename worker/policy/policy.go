// Package policy judges the commands that a model wants to run, before they run.
// It parses a command as bash would and looks at the words: what is quoted is no
// command, and what is wrapped (sudo, env, sh -c, xargs, find -exec, eval) is
// one. It reads no file and runs nothing, so that the same command in the same
// place always gets the same verdict.
//
// This is a seat belt against mistakes and against a model that was talked into
// something, not a wall: a script that was written to a file, or a program that
// deletes by itself, is not seen. Walls are the kernel's.
package policy

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// The words of agent.approvals.
const (
	// ApprovalsDeny refuses what a person would have to consent to, because nobody
	// is there to be asked.
	ApprovalsDeny = "deny"
	// ApprovalsAllow runs it. The floor holds all the same.
	ApprovalsAllow = "allow"
)

// maxCommand is the longest command that is judged, in bytes: the kernel takes no
// longer argument.
const maxCommand = 128 << 10

// Options is what a Policy is made from.
type Options struct {
	// Approvals is ApprovalsDeny or ApprovalsAllow; "" means ApprovalsDeny.
	Approvals string
	// Allow and Deny are rules. Deny beats Allow, and the floor beats both.
	Allow, Deny []string
	// Workspace is the directory that commands run in, by all of its absolute
	// names; Home is their HOME.
	Workspace []string
	Home      string
	// Profile is the directory with the settings and the data of the agent, by all
	// of its names. It may hold the two above.
	Profile []string
}

// Policy judges commands. Many may ask it at once.
type Policy struct {
	allowAll   bool
	allow      []rule
	deny       []rule
	workspaces []string
	home       string
	profiles   []string
}

// New makes a Policy. A rule that cannot be read is an error.
func New(opts Options) (*Policy, error) {
	p := &Policy{home: opts.Home, profiles: opts.Profile}
	switch opts.Approvals {
	case "", ApprovalsDeny:
	case ApprovalsAllow:
		p.allowAll = true
	default:
		return nil, fmt.Errorf("agent.approvals: %q is neither %s nor %s", opts.Approvals, ApprovalsDeny, ApprovalsAllow)
	}
	var err error
	if p.allow, err = parseRules(opts.Allow); err != nil {
		return nil, fmt.Errorf("agent.allow: %w", err)
	}
	if p.deny, err = parseRules(opts.Deny); err != nil {
		return nil, fmt.Errorf("agent.deny: %w", err)
	}
	for _, dir := range opts.Workspace {
		p.workspaces = append(p.workspaces, path.Clean(dir))
	}
	if len(p.workspaces) == 0 {
		p.workspaces = []string{"/workspace"}
	}
	if p.home == "" {
		p.home = p.workspaces[0]
	}
	return p, nil
}

// Verdict is what was decided about a command.
type Verdict struct {
	Denied bool `json:"denied"`
	// Class is what the command is, "" if it is nothing special.
	Class Class `json:"class,omitempty"`
	// Words are the part of the command that decided, bounded.
	Words string `json:"words,omitempty"`
	// Why says in a sentence without a full stop what is wrong.
	Why string `json:"why,omitempty"`
	// Rule is the rule that decided, if one did.
	Rule string `json:"rule,omitempty"`
	// Setting is where the decision comes from: agent.deny, agent.allow or
	// agent.approvals; "" for the floor and for what is nothing special.
	Setting string `json:"setting,omitempty"`
}

// The settings that decide.
const (
	settingApprovals = "agent.approvals"
	settingAllow     = "agent.allow"
	settingDeny      = "agent.deny"
)

// Judge says whether a command may run in dir, an absolute directory; "" is the
// workspace.
func (p *Policy) Judge(command, dir string) Verdict {
	w := newWalker(p, dir)
	if err := w.script(command); err != nil {
		return Verdict{
			Denied: true, Class: Unreadable, Words: bounded(command),
			Why: "what it would do cannot be known: " + err.Error(),
		}
	}
	for _, f := range w.found {
		if f.class.Floor() {
			return Verdict{Denied: true, Class: f.class, Words: f.show(), Why: f.why}
		}
	}
	if v, denied := p.forbidden(w); denied {
		return v
	}
	allowed := Verdict{}
	for _, f := range w.found {
		v := Verdict{Class: f.class, Words: f.show(), Why: f.why}
		i := slices.IndexFunc(p.allow, func(r rule) bool { return r.allows(f) })
		switch {
		case i >= 0:
			v.Rule, v.Setting = p.allow[i].text, settingAllow
		case p.allowAll:
			v.Setting = settingApprovals
		default:
			v.Denied, v.Setting = true, settingApprovals
			return v
		}
		if allowed.Class == "" {
			allowed = v
		}
	}
	return allowed
}

// TakesCommands reports whether a command leads to a shell that runs what it reads:
// what is typed there has to be judged too.
func (p *Policy) TakesCommands(command, dir string) bool {
	w := newWalker(p, dir)
	return w.script(command) != nil || w.typed
}

// forbidden looks for what agent.deny names.
func (p *Policy) forbidden(w *walker) (Verdict, bool) {
	for _, r := range p.deny {
		for _, argv := range w.seen {
			if r.denies(argv) {
				v := Verdict{Denied: true, Words: show(argv), Why: "a rule forbids it", Rule: r.text, Setting: settingDeny}
				for _, f := range w.found {
					if sameWords(f.argv, argv) {
						v.Class = f.class
					}
				}
				return v, true
			}
		}
		for _, f := range w.found {
			if r.class != "" && r.class == f.class {
				return Verdict{Denied: true, Class: f.class, Words: f.show(), Why: f.why, Rule: r.text, Setting: settingDeny}, true
			}
		}
	}
	return Verdict{}, false
}

// finding is one thing in a command that belongs to a class.
type finding struct {
	class Class
	argv  []word // of the command that it is about; nil for redirections and pipes
	words string // what is shown instead of argv
	why   string
}

func (f finding) show() string {
	if f.words != "" {
		return bounded(f.words)
	}
	return show(f.argv)
}

func show(argv []word) string {
	texts := make([]string, 0, len(argv))
	for _, w := range argv {
		texts = append(texts, w.show())
	}
	return bounded(strings.Join(texts, " "))
}

func sameWords(a, b []word) bool {
	return slices.EqualFunc(a, b, func(x, y word) bool { return x.text == y.text })
}

// bounded cuts what is shown of a command.
func bounded(text string) string {
	const most = 200
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, hole, "…")), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most-1]) + "…"
	}
	return text
}

var (
	errTooLong = errors.New("it is too long")
	errTooDeep = errors.New("it is nested too deep")
	errTooMuch = errors.New("it has too many parts")
	errBroken  = errors.New("the policy broke on it, which is a bug")
	errComment = errors.New("a # within a word looks like a comment")
)

// parse reads a command as bash does.
func parse(command string) (*syntax.File, error) {
	if len(command) > maxCommand {
		return nil, errTooLong
	}
	if tooDeep(command) {
		return nil, errTooDeep
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)).Parse(strings.NewReader(command), "")
	if err != nil {
		if problem, ok := errors.AsType[syntax.ParseError](err); ok {
			return nil, fmt.Errorf("line %d: %s", problem.Pos.Line(), problem.Text)
		}
		if problem, ok := errors.AsType[syntax.LangError](err); ok {
			return nil, fmt.Errorf("line %d: this is not bash", problem.Pos.Line())
		}
		return nil, err
	}
	if hidesInComment(file, command) {
		return nil, errComment
	}
	return file, nil
}

// hidesInComment looks for a comment that begins within a word. The parser takes
// the # of "a"#;rm -rf / for one after an opening bracket and a line break, and a
// shell does not (mvdan.cc/sh 3.14.1; found by the fuzz target).
func hidesInComment(file *syntax.File, command string) bool {
	if !strings.Contains(command, "#") {
		return false
	}
	hidden := false
	syntax.Walk(file, func(node syntax.Node) bool {
		if comment, ok := node.(*syntax.Comment); ok {
			at := int(comment.Hash.Offset())
			hidden = hidden || at > len(command) || at > 0 && !strings.ContainsRune(" \t\r\n;&|()`", rune(command[at-1]))
		}
		return true
	})
	return hidden
}

// tooDeep looks at the brackets before the parser does: it recurses with each of
// them, and looks ahead at some.
func tooDeep(command string) bool {
	const most = 250
	depth, deepest, opened := 0, 0, 0
	for i := range len(command) {
		switch command[i] {
		case '(', '{':
			depth++
			opened++
			deepest = max(deepest, depth)
		case ')', '}':
			depth = max(0, depth-1)
		}
	}
	return deepest > most || opened > 40*most
}
