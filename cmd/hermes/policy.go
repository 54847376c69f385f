package main

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"hermes/profiles"
	"hermes/supervisor/handoff"
	"hermes/worker"
	"hermes/worker/policy"
	"hermes/worker/store"
)

// The words for what is decided about a command.
const (
	decisionAllowed = "allowed"
	decisionDenied  = "denied"
)

func newPolicyCmd(a *app) *cobra.Command {
	return newGroup("policy", "Look at what an agent may run", &cobra.Command{
		Long: `Every command that an agent wants to run is judged before it starts. What is
destructive is denied unless the setup allows it: agent.approvals, agent.allow
and agent.deny. Some of it is never run, whatever the settings say.`,
		Example: `  hermes policy classes
  hermes -p alice policy test 'sudo apt install jq'
  hermes -p alice config set agent.allow 'apt install *'
  hermes -p alice policy log`,
	},
		newPolicyTestCmd(a),
		newPolicyClassesCmd(a),
		newPolicyLogCmd(a),
	)
}

type policyTestOptions struct {
	*app
	command string
	json    bool
}

func newPolicyTestCmd(a *app) *cobra.Command {
	opts := &policyTestOptions{app: a}
	cmd := &cobra.Command{
		Use:   "test COMMAND",
		Short: "Say whether an agent may run a command, without running it",
		Long: `Judge a command as the profile's agent would have it judged in its workspace.
Nothing is run and nothing is logged. The exit code is 0 if the command is
allowed and 1 if it is denied.`,
		Example: `  hermes policy test 'git push origin main'
  hermes -p alice policy test 'shutdown now' --json`,
		Args: words("COMMAND"),
		RunE: func(_ *cobra.Command, args []string) error {
			opts.command = args[0]
			return policyTestRun(opts)
		},
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// testedCommand is what a program is told of a verdict.
type testedCommand struct {
	Decision string `json:"decision"`
	policy.Verdict
}

func policyTestRun(opts *policyTestOptions) error {
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	judge, err := opts.policyOf(profile)
	if err != nil {
		return err
	}
	v := judge.Judge(opts.command, "")
	decision := decisionAllowed
	if v.Denied {
		decision = decisionDenied
	}
	if opts.json {
		err = opts.printJSON(testedCommand{decision, v})
	} else {
		opts.printVerdict(decision, v)
	}
	if err != nil {
		return err
	}
	if v.Denied {
		return silent(exitFailure)
	}
	return nil
}

// policyOf makes the policy of a profile as its worker does.
func (a *app) policyOf(profile profiles.Profile) (*policy.Policy, error) {
	loaded, err := a.load(profile)
	if err != nil {
		return nil, err
	}
	agent := loaded.Config.Agent
	opts := worker.PolicyOptions(handoff.Agent{Approvals: agent.Approvals, Allow: agent.Allow, Deny: agent.Deny}, profile.Dir)
	opts.Workspace, opts.Home = []string{profile.Workspace()}, profile.ToolHome()
	if physical, err := filepath.EvalSymlinks(profile.Workspace()); err == nil && physical != profile.Workspace() {
		opts.Workspace = []string{physical, profile.Workspace()}
	}
	judge, err := policy.New(opts)
	if err != nil {
		return nil, configf("%w", err)
	}
	return judge, nil
}

func (opts *policyTestOptions) printVerdict(decision string, v policy.Verdict) {
	colour := green
	setting := v.Setting
	if v.Denied {
		colour = red
		if setting == "" {
			setting = "none; it is never run"
		}
	}
	fields := []field{{"decision", cell{text: decision, style: colour}}}
	for _, f := range []field{
		{"class", cell{text: string(v.Class)}},
		{"words", cell{text: v.Words}},
		{"why", cell{text: v.Why}},
		{"rule", cell{text: v.Rule}},
		{"setting", cell{text: setting}},
	} {
		if f.value.text != "" {
			fields = append(fields, f)
		}
	}
	opts.printFields(fields)
}

type policyClassesOptions struct {
	*app
	json bool
}

func newPolicyClassesCmd(a *app) *cobra.Command {
	opts := &policyClassesOptions{app: a}
	cmd := &cobra.Command{
		Use:   "classes",
		Short: "List the kinds of commands that are denied",
		Long: `List the classes of commands. Those that are never run are allowed by no setting;
the others are denied while agent.approvals is deny, unless a rule of agent.allow
names their words, or the class itself as class:NAME.`,
		Example: "  hermes policy classes\n  hermes policy classes --json",
		Args:    words(),
		RunE:    func(*cobra.Command, []string) error { return policyClassesRun(opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func policyClassesRun(opts *policyClassesOptions) error {
	if opts.json {
		return opts.printJSON(policy.Classes())
	}
	t := &table{header: []string{"CLASS", "RUN", "WHAT"}}
	for _, info := range policy.Classes() {
		row := cells(string(info.Class), "if allowed", info.Help)
		if info.Floor {
			row[1] = cell{text: "never", style: red}
		}
		t.add(row...)
	}
	opts.printTable(t)
	return nil
}

type policyLogOptions struct {
	*app
	json  bool
	lines int
}

// maxDecisions bounds how much of the log is read at once.
const maxDecisions = 10_000

func newPolicyLogCmd(a *app) *cobra.Command {
	opts := &policyLogOptions{app: a}
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Show what was decided about an agent's commands",
		Long: `Show the last decisions about commands of the profile's agent, the latest last.
They are kept in its database before a command starts, the last 10,000 to run and
the last 10,000 not to; secrets of its settings are taken out.`,
		Example: "  hermes -p alice policy log\n  hermes -p alice policy log -n 500 --json",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return policyLogRun(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	cmd.Flags().IntVarP(&opts.lines, "lines", "n", 50, "how many to show, at most "+strconv.Itoa(maxDecisions))
	return cmd
}

// loggedDecision is what a program is told of a decision.
type loggedDecision struct {
	Time     time.Time `json:"time"`
	Run      string    `json:"run"`
	Call     string    `json:"call"`
	Tool     string    `json:"tool"`
	Command  string    `json:"command"`
	Decision string    `json:"decision"`
	Class    string    `json:"class,omitempty"`
	Rule     string    `json:"rule,omitempty"`
	Setting  string    `json:"setting,omitempty"`
}

func policyLogRun(ctx context.Context, opts *policyLogOptions) error {
	if opts.lines < 1 || opts.lines > maxDecisions {
		return usagef("--lines must be 1 to %d", maxDecisions)
	}
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	decisions, err := store.ReadDecisions(ctx, profile.Database(), opts.lines)
	if err != nil {
		return err
	}
	logged := make([]loggedDecision, 0, len(decisions))
	for _, d := range decisions {
		decision := decisionAllowed
		if d.Denied {
			decision = decisionDenied
		}
		logged = append(logged, loggedDecision{
			Time: d.At.UTC(), Run: d.RunID, Call: d.CallID, Tool: d.Tool, Command: d.Command,
			Decision: decision, Class: d.Class, Rule: d.Rule, Setting: d.Setting,
		})
	}
	if opts.json {
		return opts.printJSON(logged)
	}
	if len(logged) == 0 {
		opts.printf("No command was judged yet.\n")
		return nil
	}
	t := &table{header: []string{"TIME", "DECISION", "CLASS", "RULE", "COMMAND"}}
	for _, d := range logged {
		row := cells(d.Time.Local().Format(time.DateTime), d.Decision, d.Class, d.Rule, d.Command)
		if d.Decision == decisionDenied {
			row[1].style = red
		}
		t.add(row...)
	}
	opts.printTable(t)
	return nil
}
