package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/spf13/cobra"

	"hermes/configs"
	"hermes/profiles"
)

type configListOptions struct {
	*app
	json bool
}

func newConfigListCmd(a *app) *cobra.Command {
	opts := &configListOptions{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "Print every setting, its value and where that comes from",
		Example: "  hermes config list\n  hermes -p alice config list --json",
		Args:    words(),
		RunE:    func(*cobra.Command, []string) error { return configListRun(opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// listedValue is what a program is told of a setting.
type listedValue struct {
	configs.Value

	NoEffect bool `json:"no_effect,omitempty"` // nothing reads it yet
}

func configListRun(opts *configListOptions) error {
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	// Of settings that are wrong, what could be read is shown, and then what is
	// wrong.
	loaded, bad := opts.load(profile)
	if opts.json {
		listed := make([]listedValue, len(loaded.Values))
		for i, value := range loaded.Values {
			listed[i] = listedValue{value, unused(value.Key)}
		}
		return cmp.Or(opts.printJSON(listed), bad)
	}
	t := &table{header: []string{"KEY", "VALUE", "SOURCE"}}
	for _, value := range loaded.Values {
		source := value.Source
		if unused(value.Key) {
			source = "no effect yet"
		}
		row := cells(value.Key, value.Value, source)
		if value.Source == "default" {
			row[1].style, row[2].style = dim, dim
		}
		t.add(row...)
	}
	opts.printTable(t)
	return bad
}

type configCheckOptions struct {
	*app
	all bool
}

func newConfigCheckCmd(a *app) *cobra.Command {
	opts := &configCheckOptions{app: a}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a profile's settings",
		Long: `Read a profile's settings as a gateway does and print everything that is wrong
with them, each with file, line and key. The exit code is 78 if anything is.`,
		Example: "  hermes config check\n  hermes -p alice config check\n  hermes config check --all",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return configCheckRun(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.all, "all", false, "check every profile")
	return cmd
}

func configCheckRun(_ context.Context, opts *configCheckOptions) error {
	checked, err := opts.checked()
	if err != nil {
		return err
	}
	bad := false
	for _, profile := range checked {
		loaded, err := opts.load(profile)
		for _, warning := range loaded.Warnings {
			opts.errorf("%s", warning)
		}
		var problems *configs.Problems
		switch {
		case err == nil:
			opts.printf("%s: ok\n", profile.Name)
		case errors.As(err, &problems):
			bad = true
			opts.problems(problems)
		default:
			bad = true
			opts.errorf("%s", oneLine(err))
		}
	}
	if bad {
		return silent(exitConfig)
	}
	return nil
}

// checked is the profiles to check.
func (opts *configCheckOptions) checked() ([]profiles.Profile, error) {
	if !opts.all {
		profile, err := opts.profile()
		return []profiles.Profile{profile}, err
	}
	if opts.profileFlag != "" {
		return nil, usagef("-p and --all contradict each other")
	}
	home, err := opts.home()
	if err != nil {
		return nil, err
	}
	return home.List()
}

type configPathOptions struct {
	*app
	json bool
}

func newConfigPathCmd(a *app) *cobra.Command {
	opts := &configPathOptions{app: a}
	cmd := &cobra.Command{
		Use:     "path",
		Short:   "Print the files that a profile's settings are kept in",
		Example: "  hermes config path\n  hermes -p alice config path",
		Args:    words(),
		RunE:    func(*cobra.Command, []string) error { return configPathRun(opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func configPathRun(opts *configPathOptions) error {
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	files := []string{profile.ConfigFile(), profile.EnvFile()}
	if profile.Name != profiles.Default {
		home, err := opts.home()
		if err != nil {
			return err
		}
		if shared, err := home.Get(profiles.Default); err == nil {
			files = append(files, shared.ConfigFile(), shared.EnvFile())
		}
	}
	if opts.json {
		return opts.printJSON(files)
	}
	for _, file := range files {
		opts.printf("%s\n", file)
	}
	return nil
}
