package main

import (
	"cmp"
	_ "embed" // the unit
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
)

// serviceHome is the home of a system service: systemd makes it, and keeps
// others out.
const serviceHome = "/var/lib/hermes"

//go:embed units/hermes.service
var unitTemplate string

var userPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
})

func newDeployCmd(a *app) *cobra.Command {
	return newGroup("deploy", "Print what other programs need to run a gateway", &cobra.Command{
		Long:    "Print files for the programs that keep a gateway running. Nothing is installed.",
		Example: "  hermes deploy systemd\n  hermes deploy systemd --user > ~/.config/systemd/user/hermes.service\n  hermes deploy apparmor | sudo tee " + apparmorPlace,
	},
		newDeploySystemdCmd(a),
		newDeployAppArmorCmd(a),
	)
}

type deploySystemdOptions struct {
	*app
	user   bool
	runAs  string
	reload bool // this hermes knows "gateway reload"
}

func newDeploySystemdCmd(a *app) *cobra.Command {
	opts := &deploySystemdOptions{app: a}
	cmd := &cobra.Command{
		Use:   "systemd",
		Short: "Print a unit for systemd",
		Long: `Print a unit that serves every enabled profile, for systemd 252 or later. As a
system service it runs as the user hermes on the home /var/lib/hermes, or on
--home; with --user it is a service of your own on your own home.`,
		Example: `  hermes deploy systemd | sudo tee /etc/systemd/system/hermes.service
  hermes deploy systemd --user > ~/.config/systemd/user/hermes.service`,
		Args: words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			found, _, err := cmd.Root().Find([]string{"gateway", "reload"})
			opts.reload = err == nil && found.Name() == "reload"
			return deploySystemdRun(opts)
		},
	}
	cmd.Flags().BoolVar(&opts.user, "user", false, "for the service manager of your own session")
	cmd.Flags().StringVar(&opts.runAs, "run-as", "hermes", "run as this `USER` of the system")
	return cmd
}

// unit is what the template is filled with.
type unit struct {
	Place, Exec, Home, RunAs string
	Next                     []string
	User, Reload             bool
	State                    bool // systemd makes the home
	HomeHidden               bool // the directories of people are not needed
}

func deploySystemdRun(opts *deploySystemdOptions) error {
	exe, err := executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if !userPattern().MatchString(opts.runAs) {
		return usagef("--run-as %q is no name of a user", opts.runAs)
	}
	u := unit{User: opts.user, Reload: opts.reload, RunAs: opts.runAs}
	if opts.homeFlag != "" || opts.user && opts.getenv("HERMES_HOME") != "" {
		home, err := opts.home()
		if err != nil {
			return err
		}
		u.Home = home.Dir()
	}
	if u.Exec, err = unitWord(exe); err != nil {
		return err
	}
	if u.Home, err = unitWord(u.Home); err != nil {
		return err
	}
	if opts.user {
		u.Place = "~/.config/systemd/user/hermes.service"
		u.Next = []string{
			"systemctl --user daemon-reload && systemctl --user enable --now hermes",
			"loginctl enable-linger    # so that it runs while you are logged out",
		}
	} else {
		u.Place = "/etc/systemd/system/hermes.service"
		u.Next = []string{
			"useradd --system --home-dir " + serviceHome + " --shell /usr/sbin/nologin " + opts.runAs,
			"install -d -m 700 -o " + opts.runAs + " -g " + opts.runAs + " " + cmp.Or(u.Home, serviceHome),
			"hermes --home " + cmp.Or(u.Home, serviceHome) + " profile create alice",
			"systemctl daemon-reload && systemctl enable --now hermes",
		}
		if u.Home == "" || u.Home == serviceHome {
			u.Home, u.State = serviceHome, true
		}
		u.HomeHidden = !inPeoplesHomes(u.Home) && !inPeoplesHomes(exe)
	}
	_, err = io.WriteString(opts.out, u.text())
	return err
}

// text is the unit. A line of the template that begins with "?a,b: " is there if both
// hold. It is no text/template: with that in a program the linker keeps every method
// of every type, which were 4.6 MB, and initialisers in each process.
func (u unit) text() string {
	holds := map[string]bool{
		"user": u.User, "system": !u.User, "reload": u.Reload, "home": u.Home != "",
		"state": u.State, "stateless": !u.State, "hidden": u.HomeHidden,
	}
	fill := strings.NewReplacer("{place}", u.Place, "{exec}", u.Exec, "{home}", u.Home, "{user}", u.RunAs, "{next}", strings.Join(u.Next, "\n#   "))
	var b strings.Builder
	for line := range strings.Lines(unitTemplate) {
		if when, rest, found := strings.Cut(line, ": "); found && strings.HasPrefix(when, "?") {
			if slices.ContainsFunc(strings.Split(when[1:], ","), func(name string) bool { return !holds[name] }) {
				continue
			}
			line = rest
		}
		_, _ = fill.WriteString(&b, line) // it only fails if a Builder does
	}
	return b.String()
}

// inPeoplesHomes reports whether ProtectHome would hide a path.
func inPeoplesHomes(path string) bool {
	for _, dir := range []string{"/home", "/root", "/run/user"} {
		if rel, err := filepath.Rel(dir, path); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
			return true
		}
	}
	return false
}

// unitWord is a path in a unit, where percent signs have a meaning. What would
// have to be quoted there is refused: it is quoted in more than one way.
func unitWord(path string) (string, error) {
	if strings.ContainsAny(path, " \t\n\"'\\$;") {
		return "", fmt.Errorf("%s has blanks or quotes in its path, which a unit cannot hold everywhere; move it", path)
	}
	return strings.ReplaceAll(path, "%", "%%"), nil
}
