package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hermes/configs"
	"hermes/profiles"
)

func newCompletionCmd(a *app) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print a script that completes commands, profiles and settings in a shell",
		Long: `Print a script that completes commands, profile names and settings in a shell:
bash, zsh, fish or powershell.`,
		Example: `  source <(hermes completion bash)                  # now
  hermes completion bash > ~/.local/share/bash-completion/completions/hermes
  hermes completion zsh > "${fpath[1]}/_hermes"
  hermes completion fish > ~/.config/fish/completions/hermes.fish`,
		Args:      words("SHELL"),
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			default:
				return usagef("no completion for %q; SHELL is one of %s", args[0], strings.Join(shells, ", "))
			}
		},
	}
}

// completeProfiles completes the name of a profile that exists.
func (a *app) completeProfiles(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	home, err := a.home()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := home.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, p := range list {
		if p.Err == nil && !slices.Contains(args, string(p.Name)) {
			names = append(names, string(p.Name))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeOneProfile completes the first argument.
func (a *app) completeOneProfile(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeProfiles(cmd, args, word)
}

// completeDeletable completes the names of profiles other than the default one.
func (a *app) completeDeletable(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	names, directive := a.completeOneProfile(cmd, args, word)
	return slices.DeleteFunc(names, func(name string) bool { return name == string(profiles.Default) }), directive
}

// completeSetting completes the key of a setting, and its value where there are
// few.
func completeSetting(values bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var words []string
		for _, key := range configs.Keys() {
			switch {
			case len(args) == 0:
				words = append(words, key.Name()+"\t"+key.Help)
			case values && len(args) == 1 && (key.Key == args[0] || key.Env == args[0]):
				return key.Allowed, cobra.ShellCompDirectiveNoFileComp
			}
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}
