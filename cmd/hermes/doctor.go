package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"hermes/profiles"
)

// The outcomes of a check.
const (
	checkOK      = "ok"
	checkNote    = "note"    // worth knowing, nothing to mend
	checkProblem = "problem" // to mend
)

// check is one thing that doctor looked at.
type check struct {
	Profile profiles.Name `json:"profile,omitempty"`
	Name    string        `json:"check"`
	Result  string        `json:"result"`
	Text    string        `json:"text"`
	// Mend is the command or the step that puts it right.
	Mend string `json:"mend,omitempty"`
	// Attacks is what came of the attacks on the walls.
	Attacks *attacked `json:"attacks,omitempty"`
}

type doctorOptions struct {
	*app
	json bool
}

func newDoctorCmd(a *app) *cobra.Command {
	opts := &doctorOptions{app: a}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, and say how to mend it",
		Long: `Look at the home, the programs that tools need, the gateways, and each profile:
its settings, its files, its port and its model. With -p only that profile.

What keeps commands of agents, and the workers of profiles, from what is not theirs
is built and attacked: more than a hundred attacks are tried from behind each wall,
and those that succeed are named.
The exit code is 1 if there is a problem.`,
		Example: "  hermes doctor\n  hermes -p alice doctor\n  hermes doctor --json",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return doctorRun(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func doctorRun(ctx context.Context, opts *doctorOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	list, err := opts.examined(home)
	if err != nil {
		return err
	}
	d := &doctor{app: opts.app, home: home}
	d.now("the home")
	end := opts.progress(ctx, func() string { return "looking at " + d.current() })
	d.examine(ctx, list)
	end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if opts.json {
		err = opts.printJSON(d.checks)
	} else {
		opts.printChecks(d.checks)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(d.checks, func(c check) bool { return c.Result == checkProblem }) {
		return silent(exitFailure)
	}
	return nil
}

// examined is the profiles to look at.
func (opts *doctorOptions) examined(home profiles.Home) ([]profiles.Profile, error) {
	name, err := opts.named()
	if err != nil {
		return nil, err
	}
	if name == "" {
		return home.List()
	}
	profile, err := home.Get(name)
	return []profiles.Profile{profile}, err
}

func (opts *doctorOptions) printChecks(checks []check) {
	styles := map[string]style{checkOK: green, checkNote: yellow, checkProblem: red}
	t := &table{header: []string{"PROFILE", "CHECK", "RESULT", "WHAT"}}
	problems := 0
	for _, c := range checks {
		text := c.Text
		if c.Mend != "" {
			text += "; " + c.Mend
		}
		if c.Result == checkProblem {
			problems++
		}
		row := cells(string(c.Profile), c.Name, c.Result, text)
		row[2].style = styles[c.Result]
		t.add(row...)
	}
	opts.printTable(t)
	switch problems {
	case 0:
		opts.printf("\nNo problems.\n")
	case 1:
		opts.printf("\n1 problem.\n")
	default:
		opts.printf("\n%d problems.\n", problems)
	}
}
