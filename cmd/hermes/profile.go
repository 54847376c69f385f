package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hermes/profiles"
)

func newProfileCmd(a *app) *cobra.Command {
	return newGroup("profile", "Create, look at and remove profiles", &cobra.Command{
		Long: `A profile is one person's agent: a directory with settings, a key, a port, a
workspace and a database. The default profile is the home itself; the others
live in its directory profiles/.`,
		Example: `  hermes profile create alice
  hermes profile list
  hermes profile show alice`,
	},
		newProfileCreateCmd(a),
		newProfileListCmd(a),
		newProfileShowCmd(a),
		newProfileRenameCmd(a),
		newProfileDeleteCmd(a),
		newProfileUseCmd(a),
		newProfileExportCmd(a),
		newProfileImportCmd(a),
	)
}

type profileCreateOptions struct {
	*app
	name      string
	cloneFrom string
	port      int
	portGiven bool
	disabled  bool
	noKey     bool
	json      bool
}

func newProfileCreateCmd(a *app) *cobra.Command {
	opts := &profileCreateOptions{app: a}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a profile with a port and a key of its own",
		Long: `Make a profile. It gets the next free port from 8643 upwards and a fresh random
key, which is shown once. Both stay as they are.

With --clone-from the settings, the personality, the memories and the skills of
another profile are copied; never its key, its port, its workspace or its
database.`,
		Example: `  hermes profile create alice
  hermes profile create bob --clone-from alice
  hermes profile create carol --port 9000 --disabled
  hermes profile create dave --json`,
		Args:    words("NAME"),
		Aliases: []string{"new", "add"},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.name = args[0]
			opts.portGiven = cmd.Flags().Changed("port")
			return profileCreateRun(cmd.Context(), opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&opts.cloneFrom, "clone-from", "", "copy the settings of this `PROFILE`")
	cmd.Flags().IntVar(&opts.port, "port", 0, "serve on this `PORT` instead of the next free one")
	cmd.Flags().BoolVar(&opts.disabled, "disabled", false, "do not serve the profile yet")
	cmd.Flags().BoolVar(&opts.noKey, "no-key", false, "make no key: only programs on this machine may connect")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	must(cmd.RegisterFlagCompletionFunc("clone-from", a.completeProfiles))
	return cmd
}

// createdProfile is what a program is told of a new profile.
type createdProfile struct {
	Name    profiles.Name `json:"name"`
	Dir     string        `json:"dir"`
	Enabled bool          `json:"enabled"`
	Port    int           `json:"port"`
	URL     string        `json:"url"`
	Key     string        `json:"key,omitempty"`
	Model   string        `json:"model"`
}

func profileCreateRun(ctx context.Context, opts *profileCreateOptions) error {
	create := profiles.CreateOptions{Port: opts.port, Disabled: opts.disabled, NoKey: opts.noKey}
	var err error
	if create.Name, err = profiles.ParseName(opts.name); err != nil {
		return usagef("%w", err)
	}
	if opts.cloneFrom != "" {
		if create.CloneFrom, err = parseName("--clone-from", opts.cloneFrom); err != nil {
			return err
		}
	}
	if opts.portGiven && (opts.port < 1 || opts.port > 65535) {
		return usagef("--port must be between 1 and 65535, not %d", opts.port)
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	end := opts.progress(ctx, func() string { return "making profile " + string(create.Name) })
	created, err := home.Create(ctx, create)
	end()
	if err != nil {
		return err
	}
	loaded, err := created.Profile.Load(opts.environ, nil)
	if err != nil {
		return err
	}
	server := loaded.Config.APIServer
	if opts.json {
		return opts.printJSON(createdProfile{
			Name: created.Profile.Name, Dir: created.Profile.Dir, Enabled: server.Enabled,
			Port: server.Port, URL: baseURL(server), Key: created.Key.Reveal(), Model: server.ModelName,
		})
	}
	opts.printf("Profile %s is made: %s\n\n", created.Profile.Name, created.Profile.Dir)
	for _, path := range created.Skipped {
		opts.errorf("%s was not copied, since it is no plain file", path)
	}
	opts.printConnection(created, server)
	opts.printf("\nNext:\n")
	opts.nextSteps(ctx, home, created.Profile.Name, opts.disabled)
	return nil
}

type profileRenameOptions struct {
	*app
	old, new string
}

func newProfileRenameCmd(a *app) *cobra.Command {
	opts := &profileRenameOptions{app: a}
	return &cobra.Command{
		Use:     "rename OLD NEW",
		Short:   "Give a profile another name",
		Long:    "Give a profile another name. Its key and port stay; it must not be served meanwhile.",
		Example: "  hermes profile rename alice alicia",
		Args:    words("OLD", "NEW"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.old, opts.new = args[0], args[1]
			return profileRenameRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeDeletable,
	}
}

func profileRenameRun(ctx context.Context, opts *profileRenameOptions) error {
	old, err := parseName("OLD", opts.old)
	if err != nil {
		return err
	}
	if old == profiles.Default {
		return usagef("the default profile cannot be renamed; make a named one with: %s", opts.command("profile", "create", "NAME"))
	}
	name, err := profiles.ParseName(opts.new)
	if err != nil {
		return usagef("NEW: %w", err)
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	if err := home.Rename(ctx, old, name); err != nil {
		return err
	}
	opts.printf("Profile %s is now %s.\n", old, name)
	return nil
}

type profileDeleteOptions struct {
	*app
	name string
	yes  bool
}

func newProfileDeleteCmd(a *app) *cobra.Command {
	opts := &profileDeleteOptions{app: a}
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a profile with everything in it",
		Long: `Remove a profile with its settings, its workspace, its memories and its database.
Nothing of it can be brought back. A profile that is being served is refused.`,
		Example: "  hermes profile delete alice\n  hermes profile delete alice --yes",
		Args:    words("NAME"),
		Aliases: []string{"remove", "rm"},
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.name = args[0]
			return profileDeleteRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeDeletable,
	}
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "do not ask")
	return cmd
}

func profileDeleteRun(ctx context.Context, opts *profileDeleteOptions) error {
	name, err := parseName("NAME", opts.name)
	if err != nil {
		return err
	}
	if name == profiles.Default {
		return usagef("the default profile cannot be deleted, its directory holds all the others; to stop serving it: %s",
			opts.commandFor(name, "config", "set", "API_SERVER_ENABLED", "false"))
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	profile, err := home.Get(name)
	if err != nil {
		return err
	}
	if !opts.yes {
		if !opts.interactive() {
			return usagef("deleting %s needs --yes where nobody can be asked", name)
		}
		opts.eprintf("This deletes %s with its workspace, memories and database.\nType the name of the profile to go on: ", profile.Dir)
		typed, err := opts.readLine(ctx)
		if err != nil {
			return err
		}
		if typed != string(name) {
			return fmt.Errorf("%q is not %s; nothing was deleted", typed, name)
		}
	}
	end := opts.progress(ctx, func() string { return "deleting " + profile.Dir })
	err = home.Remove(ctx, name)
	end()
	if err != nil {
		return err
	}
	opts.printf("Profile %s is deleted.\n", name)
	return nil
}

type profileUseOptions struct {
	*app
	name string
}

func newProfileUseCmd(a *app) *cobra.Command {
	opts := &profileUseOptions{app: a}
	return &cobra.Command{
		Use:   "use NAME",
		Short: "Make a profile the one that commands without -p are about",
		Long: `Make a profile the one that commands without -p and HERMES_PROFILE are about.
Workers never look at it, nor does "gateway --all".`,
		Example: "  hermes profile use alice\n  hermes profile use default",
		Args:    words("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			opts.name = args[0]
			return profileUseRun(opts)
		},
		ValidArgsFunction: a.completeOneProfile,
	}
}

func profileUseRun(opts *profileUseOptions) error {
	name, err := parseName("NAME", opts.name)
	if err != nil {
		return err
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	if err := home.Use(name); err != nil {
		return err
	}
	opts.printf("Commands without -p are now about profile %s.\n", name)
	if env := opts.getenv("HERMES_PROFILE"); env != "" {
		opts.eprintf("HERMES_PROFILE is set and is stronger: %s\n", strconv.Quote(env))
	}
	return nil
}
