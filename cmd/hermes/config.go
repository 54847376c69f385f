package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"hermes/configs"
	"hermes/profiles"
)

func newConfigCmd(a *app) *cobra.Command {
	return newGroup("config", "Look at and change a profile's settings", &cobra.Command{
		Long: `The settings of a profile. The key of a setting says where it is kept:
API_SERVER_* and names that end in _KEY, _TOKEN, _SECRET or _PASSWORD in .env,
dotted keys (model.default) in config.yaml. Comments and other lines stay as they
are.

Strongest first: command-line flag, process environment (default profile only),
the profile's .env, its config.yaml, the home's settings (model and provider
only), the built-in default.`,
		Example: `  hermes config list
  hermes config set model.default gpt-5-mini
  hermes -p alice config set API_SERVER_HOST 0.0.0.0
  hermes -p alice config get API_SERVER_KEY --reveal`,
	},
		newConfigSetCmd(a),
		newConfigGetCmd(a),
		newConfigUnsetCmd(a),
		newConfigListCmd(a),
		newConfigCheckCmd(a),
		newConfigPathCmd(a),
		newConfigEditCmd(a),
	)
}

// load reads the settings of p, problems included.
func (a *app) load(p profiles.Profile) (configs.Loaded, error) { return p.Load(a.environ, nil) }

type configSetOptions struct {
	*app
	key, value string
}

// secretInput bounds what is read from stdin as the value of a setting.
const secretInput = 64 << 10

func newConfigSetCmd(a *app) *cobra.Command {
	opts := &configSetOptions{app: a}
	return &cobra.Command{
		Use:   "set KEY VALUE",
		Short: "Change a setting",
		Long: `Change a setting. Key and value are checked before anything is written. With the
value - it is read from stdin, so that a secret stays out of the shell's history.
A value that begins with a dash comes after --.`,
		Example: `  hermes config set model.default gpt-5-mini
  hermes config set OPENAI_API_KEY - < key.txt
  hermes -p alice config set API_SERVER_PORT 9000`,
		Args: words("KEY", "VALUE"),
		RunE: func(_ *cobra.Command, args []string) error {
			opts.key, opts.value = args[0], args[1]
			return configSetRun(opts)
		},
		ValidArgsFunction: completeSetting(true),
	}
}

func configSetRun(opts *configSetOptions) error {
	profile, err := opts.writable()
	if err != nil {
		return err
	}
	value := opts.value
	if value == "-" {
		if value, err = readValue(opts.in); err != nil {
			return err
		}
	}
	if err := opts.checkPort(profile, value); err != nil {
		return err
	}
	change, err := configs.Set(profile.Target(opts.environ), opts.key, value)
	if err != nil {
		return badSetting(err)
	}
	verb := "is set"
	if change.Unchanged {
		verb = "is set to that already"
	}
	opts.printf("%s: %s %s\n", change.File, change.Key, verb)
	if unused(change.Key) {
		opts.errorf("%s has no effect in this version: nothing reads it yet", change.Key)
	}
	opts.effect(profile, change)
	return nil
}

// checkPort refuses a port that another profile has.
func (opts *configSetOptions) checkPort(profile profiles.Profile, value string) error {
	switch opts.key {
	case "API_SERVER_PORT", "api_server.port", "platforms.api_server.port":
	default:
		return nil
	}
	port, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil {
		return nil //nolint:nilerr // Set says what is wrong with it
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	if other, taken := home.PortUser(port, profile.Name); taken {
		return fmt.Errorf("port %d belongs to profile %s; choose another one", port, other)
	}
	return nil
}

// unused reports whether the setting is one that nothing reads yet.
func unused(key string) bool {
	return slices.ContainsFunc(configs.Keys(), func(k configs.Key) bool {
		return k.Unused && (k.Key == key || k.Env != "" && k.Env == key)
	})
}

// effect says what keeps a change from having an effect right now.
func (a *app) effect(profile profiles.Profile, change configs.Change) {
	if change.Shadowed != "" {
		a.errorf("%s", change.Shadowed)
	}
	if pid, served := profile.Holder(); served && !change.Unchanged {
		a.eprintf("The gateway with pid %d serves profile %s; the change takes effect within a second; wait for it with: %s\n",
			pid, profile.Name, a.command("gateway", "reload"))
	}
}

// readValue reads a value from stdin: everything up to the last line break.
func readValue(in io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(in, secretInput+1))
	if err != nil {
		return "", fmt.Errorf("read value: %w", err)
	}
	if len(data) > secretInput {
		return "", usagef("the value on stdin is longer than %d bytes", secretInput)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// badSetting makes an error of the command line of one about its key or value.
func badSetting(err error) error {
	if _, ok := errors.AsType[*configs.InputError](err); ok {
		return &exitError{code: exitUsage, err: err}
	}
	return err
}

type configGetOptions struct {
	*app
	key    string
	reveal bool
}

func newConfigGetCmd(a *app) *cobra.Command {
	opts := &configGetOptions{app: a}
	cmd := &cobra.Command{
		Use:     "get KEY",
		Short:   "Print the value that a setting has",
		Long:    "Print the value that a setting has, whatever it comes from, and nothing else.",
		Example: "  hermes config get model.default\n  hermes -p alice config get API_SERVER_KEY --reveal",
		Args:    words("KEY"),
		RunE: func(_ *cobra.Command, args []string) error {
			opts.key = args[0]
			return configGetRun(opts)
		},
		ValidArgsFunction: completeSetting(false),
	}
	cmd.Flags().BoolVar(&opts.reveal, "reveal", false, "print a secret too")
	return cmd
}

func configGetRun(opts *configGetOptions) error {
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	loaded, err := opts.load(profile)
	if err != nil {
		return err
	}
	value, err := configs.Lookup(loaded, opts.key)
	if err != nil {
		return badSetting(err)
	}
	if value.Secret && !opts.reveal && !value.Raw.IsZero() {
		return fmt.Errorf("%s is a secret; to print it: %s", value.Key, opts.commandFor(profile.Name, "config", "get", opts.key, "--reveal"))
	}
	text := value.Value
	if value.Secret {
		text = value.Raw.Reveal()
	}
	opts.printf("%s\n", text)
	return nil
}

type configUnsetOptions struct {
	*app
	key string
}

func newConfigUnsetCmd(a *app) *cobra.Command {
	opts := &configUnsetOptions{app: a}
	return &cobra.Command{
		Use:     "unset KEY",
		Short:   "Take a setting out of the profile's files",
		Example: "  hermes -p bob config unset model.base_url",
		Args:    words("KEY"),
		RunE: func(_ *cobra.Command, args []string) error {
			opts.key = args[0]
			return configUnsetRun(opts)
		},
		ValidArgsFunction: completeSetting(false),
	}
}

func configUnsetRun(opts *configUnsetOptions) error {
	profile, err := opts.writable()
	if err != nil {
		return err
	}
	change, err := configs.Unset(profile.Target(opts.environ), opts.key)
	if err != nil {
		return badSetting(err)
	}
	verb := "is unset"
	if change.Unchanged {
		verb = "was not set"
	}
	opts.printf("%s: %s %s\n", change.File, change.Key, verb)
	opts.effect(profile, change)
	return nil
}
