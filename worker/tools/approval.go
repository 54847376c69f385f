package tools

import (
	"context"
	"fmt"
	"strings"

	"hermes/worker/policy"
)

// Decision is what was decided about a command that a call wanted to run.
type Decision struct {
	Turn    Turn
	CallID  string
	Tool    string
	Command string
	Verdict policy.Verdict
}

// approval stands before everything that runs a command which a model chose.
type approval struct {
	policy *policy.Policy
	// audit keeps a decision before the command starts; nil keeps none.
	audit func(context.Context, Decision) error
	// profile is the name that an admin gives the agent's settings, "" for the
	// default one.
	profile string
}

// newApproval makes the approval of a Set. There is no Set without one.
func newApproval(opts Options, w *workspace) (*approval, error) {
	rules := opts.Policy
	rules.Workspace, rules.Home = w.dirs, opts.Home
	judge, err := policy.New(rules)
	return &approval{policy: judge, audit: opts.Audit, profile: opts.Profile}, err
}

// judge decides about a command, and does nothing else.
func (a *approval) judge(command, dir string) policy.Verdict { return a.policy.Judge(command, dir) }

// ask keeps what was decided about a command. When it must not run, denied says so
// to the model. What cannot be kept must not run either: a log with holes is no
// log.
func (a *approval) ask(ctx context.Context, tool, command string, verdict policy.Verdict) (denied *Result) {
	if a.audit != nil {
		err := a.audit(ctx, Decision{Turn: TurnOf(ctx), CallID: callID(ctx), Tool: tool, Command: command, Verdict: verdict})
		if err != nil {
			result := Failure("The command was not run: the decision about it could not be recorded.")
			return &result
		}
	}
	if !verdict.Denied {
		return nil
	}
	result := Failure(a.explain(verdict))
	return &result
}

// explain tells the model what was denied, why, whose rule that is, and that it
// is not to look for a way round.
func (a *approval) explain(v policy.Verdict) string {
	if v.Class == policy.Unreadable {
		return fmt.Sprintf("Denied, nothing was run: %s. Commands that cannot be judged are never run. Write it so that bash can read it, in simpler parts.", v.Why)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Denied, nothing was run: `%s`", v.Words)
	switch {
	case v.Class != "":
		fmt.Fprintf(&b, " (class %s: %s).\n", v.Class, v.Why)
	default:
		fmt.Fprintf(&b, " (%s).\n", v.Why)
	}
	command := "hermes config set"
	if a.profile != "" {
		command = "hermes -p " + a.profile + " config set"
	}
	switch {
	case v.Rule != "":
		fmt.Fprintf(&b, "The person who set up this agent forbids it with the rule `%s`. An admin changes that with: %s %s …\n", v.Rule, command, v.Setting)
	case v.Class.Floor():
		b.WriteString("No setting of this agent allows it.\n")
	default:
		fmt.Fprintf(&b, "The setup of this agent denies it, as nobody is there to consent (agent.approvals: deny). An admin allows it with: %s agent.allow …\n", command)
	}
	b.WriteString("Do not try to get the same done by other means: another spelling, a script, another tool. " +
		"Go on without it, or tell the person what you wanted to run and why.")
	return b.String()
}
