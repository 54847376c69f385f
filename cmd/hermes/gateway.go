package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/lmittmann/tint"
	"github.com/spf13/cobra"

	"hermes/profiles"
	"hermes/supervisor"
	"hermes/supervisor/handoff"
	"hermes/worker"
	"hermes/worker/store"
)

// supervisorGC is by how many percent the memory of a supervisor grows between two
// collections. With a thousand workers it saves 12 MB, and costs little.
const supervisorGC = 30

type gatewayOptions struct {
	*app
	all     bool
	host    string
	port    int
	verbose bool
	limits  string
	set     map[string]string // the flags that were given, as settings
}

func newGatewayCmd(a *app) *cobra.Command {
	opts := &gatewayOptions{app: a}
	cmd := newGroup("gateway", "Serve profiles", &cobra.Command{
		Long: `Serve a profile, or with --all every enabled one, in the foreground: one
supervisor, and one worker process for each profile. Ctrl-C or SIGTERM lets
running turns finish; a second one ends them.

The log goes to stderr; each worker's own log is read with "gateway logs".`,
		Example: `  hermes gateway --all
  hermes -p alice gateway
  hermes gateway status
  hermes gateway top
  hermes gateway logs -f
  hermes gateway restart alice
  hermes gateway stop`,
	},
		newGatewayStatusCmd(a),
		newGatewayReloadCmd(a),
		newGatewayUpgradeCmd(a),
		newGatewayStartCmd(a),
		newGatewayStopCmd(a),
		newGatewayRestartCmd(a),
		newGatewayListCmd(a),
		newGatewayMetricsCmd(a),
		newGatewayLogsCmd(a),
		newGatewayEventsCmd(a),
		newGatewayTopCmd(a),
	)
	delete(cmd.Annotations, "group")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		opts.set = map[string]string{}
		if cmd.Flags().Changed("host") {
			opts.set["api_server.host"] = opts.host
		}
		if cmd.Flags().Changed("port") {
			opts.set["api_server.port"] = strconv.Itoa(opts.port)
		}
		return gatewayRun(cmd.Context(), opts)
	}
	cmd.Flags().BoolVar(&opts.all, "all", false, "serve every enabled profile")
	cmd.Flags().StringVar(&opts.host, "host", "", "serve on this `ADDRESS`, whatever the settings say")
	cmd.Flags().IntVar(&opts.port, "port", 0, "serve on this `PORT`, whatever the settings say")
	cmd.Flags().StringVar(&opts.limits, "limits-by", "", "hold limits by cgroup2, cgroup1 or watch alone; for tests")
	must(cmd.Flags().MarkHidden("limits-by"))
	cmd.Flags().BoolVarP(&opts.verbose, "verbose", "v", false, "log more")
	return cmd
}

func gatewayRun(ctx context.Context, opts *gatewayOptions) error {
	takeover, environ, err := supervisor.Receive(opts.environ)
	if err != nil {
		return err
	}
	home, served, err := opts.served(takeover)
	if err != nil {
		return err
	}
	exe, err := executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if ctx.Err() != nil { // a signal has come already
		stop()
	}
	if err := restrict(); err != nil {
		return err
	}
	opts.letGo() // the supervisor listens to the signals itself
	// It computes little and lives long: memory is worth more than time.
	debug.SetGCPercent(supervisorGC)
	err = supervisor.New(supervisor.Options{
		Exe:       exe,
		Home:      home,
		Profiles:  served,
		Environ:   environ,
		Takeover:  takeover,
		Binary:    startedAs(os.Args[0], exe),
		Schema:    store.Schema(),
		Overrides: opts.set,
		Version:   readBuild().Version,
		Log:       opts.logger(opts.verbose),
		Out:       opts.out,
		Limits:    opts.limits,
		Walls:     wallsHere,
		Rooms:     true,
	}).Run(run)
	return opts.refused(home, err)
}

// restrict has all files that this process makes, and what it starts, belong to its
// user alone, commands of agents included; and no core of it is written, which would
// hold every key.
func restrict() error {
	syscall.Umask(0o077)
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}); err != nil {
		return fmt.Errorf("keep cores from being written: %w", err)
	}
	return nil
}

// wallsHere is what stands around commands on this machine.
func wallsHere(ctx context.Context) handoff.Walls {
	found := worker.ProbeIsolation(ctx)
	return handoff.Walls{Level: found.Level, Why: found.Why, Mend: found.Mend}
}

// startedAs is the path by which this program was started, if that leads to exe: a
// link that is set to another program is to lead an upgrade there.
func startedAs(arg, exe string) string {
	path, err := exec.LookPath(arg)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return exe
	}
	if target, err := filepath.EvalSymlinks(path); err != nil || target != exe {
		return exe
	}
	return path
}

// served is the home and the profiles to serve; nil means every enabled one. A
// gateway that was another program before goes on with what it served.
func (opts *gatewayOptions) served(takeover *supervisor.Takeover) (profiles.Home, []profiles.Name, error) {
	if takeover != nil {
		home, err := profiles.Open(takeover.Home())
		return home, takeover.Profiles(), err
	}
	home, err := opts.home()
	if err != nil {
		return home, nil, err
	}
	names, err := opts.chosen()
	return home, names, err
}

// chosen is the profiles that the command line names.
func (opts *gatewayOptions) chosen() ([]profiles.Name, error) {
	if !opts.all {
		profile, err := opts.profile()
		return []profiles.Name{profile.Name}, err
	}
	switch {
	case opts.profileFlag != "":
		return nil, usagef("-p and --all contradict each other")
	case len(opts.set) > 0:
		return nil, usagef("--host and --port are for one profile; with --all each profile has its own: %s",
			opts.command("-p", "NAME", "config", "set", "API_SERVER_PORT", "PORT"))
	}
	return nil, nil
}

// refused makes the errors of a gateway that could not begin into ones that name
// the next command.
func (opts *gatewayOptions) refused(home profiles.Home, err error) error {
	var disabled *supervisor.NotEnabledError
	var settings *supervisor.SettingsError
	var exposed *supervisor.ExposedError
	switch {
	case errors.As(err, &exposed):
		return configf("%w", err)
	case errors.As(err, &settings):
		return err // report prints each finding, with exit code 78
	case !errors.As(err, &disabled):
		return err
	case disabled.Profile == profiles.Default && !opts.fresh(home) && !opts.defaultSetUp(home):
		return configf("the default profile is not set up; set it up with: %s, or serve the others with: %s",
			opts.command("setup"), opts.command("gateway", "--all"))
	case disabled.Profile != "" && !opts.fresh(home):
		return configf("%w; enable it with: %s", err, opts.commandFor(disabled.Profile, "config", "set", "API_SERVER_ENABLED", "true"))
	case opts.fresh(home):
		return configf("nothing is set up here yet; begin with: %s", opts.command("setup"))
	default:
		return configf("%w; enable one with: %s, or make one with: %s", err,
			opts.command("-p", "NAME", "config", "set", "API_SERVER_ENABLED", "true"), opts.command("profile", "create", "NAME"))
	}
}

func (a *app) defaultSetUp(home profiles.Home) bool {
	profile, err := home.Get(profiles.Default)
	return err == nil && profile.SetUp()
}

// fresh reports whether there is no profile yet.
func (a *app) fresh(home profiles.Home) bool {
	list, err := home.List()
	return err == nil && len(list) == 0
}

// logger writes to stderr: for a person on a terminal, else one record a line as
// plain text.
func (a *app) logger(verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	if a.errTTY {
		return slog.New(tint.NewTextHandler(a.err, &tint.Options{
			Level: level, TimeFormat: time.TimeOnly, NoColor: !a.colours(true),
		}))
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}
