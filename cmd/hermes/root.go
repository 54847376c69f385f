package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"hermes/configs"
)

// The headings under which the root's help lists the commands.
const (
	groupProfiles = "profiles"
	groupRun      = "run"
	groupOther    = "other"
)

func newRootCmd(a *app) *cobra.Command {
	root := newGroup("hermes", "A private AI agent for each person of a group", &cobra.Command{
		Long: `hermes gives every person of a group a private AI agent behind any frontend
that speaks the OpenAI API. A profile is one person's agent: settings, a key, a
port, a workspace, a database. A gateway serves the profiles, each from a
process of its own.`,
		Example: `  hermes setup
  hermes profile create alice
  hermes gateway --all
  hermes -p alice chat "what is in my workspace?"`,
		SilenceErrors: true, // report prints them
		SilenceUsage:  true,
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		// An empty variable in a script must not stand for the default.
		for _, name := range []string{"profile", "home"} {
			if flag := cmd.Flag(name); flag.Changed && flag.Value.String() == "" {
				return usagef("the value of --%s is empty", name)
			}
		}
		return nil
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.DisableDefaultCmd = true

	version := root.Flags().Bool("version", false, "print the version")
	help := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *version {
			a.printf("%s\n", readBuild())
			return nil
		}
		return help(cmd, args)
	}
	root.PersistentFlags().StringVarP(&a.profileFlag, "profile", "p", "", "`NAME` of the profile that the command is about (default: HERMES_PROFILE, else what \"profile use\" stored)")
	root.PersistentFlags().StringVar(&a.homeFlag, "home", "", "`DIR` that holds the profiles (default: HERMES_HOME, else ~/.hermes)")
	must(root.RegisterFlagCompletionFunc("profile", a.completeProfiles))
	must(root.MarkPersistentFlagDirname("home"))

	root.AddGroup(
		&cobra.Group{ID: groupProfiles, Title: "Profiles and settings:"},
		&cobra.Group{ID: groupRun, Title: "Serve and talk:"},
		&cobra.Group{ID: groupOther, Title: "Other:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	add(groupProfiles, newSetupCmd(a), newProfileCmd(a), newConfigCmd(a), newPolicyCmd(a), newMCPCmd(a))
	add(groupRun, newGatewayCmd(a), newChatCmd(a), newSessionCmd(a), newPromptCmd(a), newDoctorCmd(a), newDeployCmd(a))
	add(groupOther, newCompletionCmd(a), newVersionCmd(a))
	root.AddCommand(newWorkerCmd(a), newPDFCmd(a))
	helpCmd := newHelpCmd(root)
	helpCmd.GroupID = groupOther
	root.SetHelpCommand(helpCmd)
	// A command that only holds others is not shown as one that can be run. Cobra's own
	// text is written by Go; with a template of ours it would need text/template, and the
	// linker would keep every method of every type.
	usage := root.UsageFunc()
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		if cmd.Annotations["group"] != "" {
			run := cmd.RunE
			cmd.RunE = nil
			defer func() { cmd.RunE = run }()
		}
		return usage(cmd)
	})
	return root
}

// newGroup completes a command that does nothing but hold others.
func newGroup(use, short string, cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.Use, cmd.Short = use, short
	cmd.Annotations = map[string]string{"group": "yes"}
	cmd.Args = noSuchCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(commands...)
	return cmd
}

// noSuchCommand takes no arguments, and says of any that it is no command.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usagef("there is no command %q%s", cmd.CommandPath()+" "+args[0], didYouMean(nearestCommand(cmd, args[0])))
}

// nearestCommand returns the command below cmd that name most likely stands for,
// or "".
func nearestCommand(cmd *cobra.Command, name string) string {
	best, distance := "", 3
	for _, sub := range cmd.Commands() {
		if sub.Hidden {
			continue
		}
		for _, word := range append([]string{sub.Name()}, sub.SuggestFor...) {
			if d := configs.EditDistance(strings.ToLower(name), word); d < distance {
				best, distance = sub.CommandPath(), d
			}
		}
	}
	return best
}

// words checks the number of arguments against their names, as in "NAME",
// "[NAME]" or "[NAME...]".
func words(names ...string) cobra.PositionalArgs {
	least, most := 0, len(names)
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			least++
		}
		if strings.Contains(name, "...") {
			most = -1
		}
	}
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return usagef("%s is missing", strings.Join(names[len(args):least], " and "))
		}
		if most >= 0 && len(args) > most {
			return usagef("unexpected argument %q", args[most])
		}
		return nil
	}
}

func newHelpCmd(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND...]",
		Short:   "Explain a command",
		Example: "  hermes help profile create",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			cmd, _, err := root.Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			var names []string
			for _, sub := range cmd.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, fmt.Sprintf("%s\t%s", sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return usagef("%w", err)
			}
			if len(rest) > 0 {
				return noSuchCommand(cmd, rest)
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// must is for declarations that only a mistake in this package can break; every
// test of a command line runs them.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
