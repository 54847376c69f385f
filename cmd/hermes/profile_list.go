package main

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor"
)

// profileInfo is what is told of a profile. It holds no secrets.
type profileInfo struct {
	Name profiles.Name `json:"name"`
	// Selected says that commands without -p are about this profile.
	Selected bool   `json:"selected"`
	Dir      string `json:"dir"`
	Enabled  bool   `json:"enabled"`
	Port     int    `json:"port,omitempty"`
	URL      string `json:"url,omitempty"`
	Key      bool   `json:"key"` // one is set
	// Model is the model id that clients see, Upstream what answers behind it.
	Model    string `json:"model,omitempty"`
	Upstream string `json:"upstream,omitempty"`
	// State is that of a running gateway, "stopped" if none serves the profile.
	State supervisor.State `json:"state"`
	PID   int              `json:"pid,omitempty"` // of the worker
	// Problems is what is wrong with the settings.
	Problems []string `json:"problems,omitempty"`
}

// describe puts together what is known of a profile. Settings that do not
// validate are part of the description, not an error.
func (a *app) describe(p profiles.Profile, selected profiles.Name, services map[profiles.Name]supervisor.ProfileStatus) (profileInfo, error) {
	info := profileInfo{Name: p.Name, Selected: p.Name == selected && p.Err == nil, Dir: p.Dir, State: supervisor.StateStopped}
	if status, ok := services[p.Name]; ok {
		info.State, info.PID = status.State, status.PID
	}
	loaded, err := a.load(p)
	var problems *configs.Problems
	switch {
	case errors.As(err, &problems):
		for _, problem := range problems.List {
			info.Problems = append(info.Problems, problem.Error())
		}
		return info, nil
	case err != nil:
		return info, err
	}
	server := loaded.Config.APIServer
	info.Enabled, info.Port, info.URL = server.Enabled, server.Port, baseURL(server)
	info.Key, info.Model = !server.Key.IsZero(), server.ModelName
	info.Upstream = upstreamText(loaded.Upstreams()[0])
	return info, nil
}

// upstreamText says in a few words what answers.
func upstreamText(up configs.Upstream) string {
	switch up.Provider {
	case configs.Auto:
		return "auto: a local server, else the demo model"
	case configs.Demo:
		return "demo: no language model"
	default:
		return cmp.Or(up.Model, "the model that is there") + " at " + up.BaseURL
	}
}

type profileListOptions struct {
	*app
	json bool
}

func newProfileListCmd(a *app) *cobra.Command {
	opts := &profileListOptions{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the profiles",
		Long:    "List the profiles. A star marks the one that commands without -p are about.",
		Example: "  hermes profile list\n  hermes profile list --json",
		Args:    words(),
		Aliases: []string{"ls"},
		RunE:    func(cmd *cobra.Command, _ []string) error { return profileListRun(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func profileListRun(ctx context.Context, opts *profileListOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	list, err := home.List()
	if err != nil {
		return err
	}
	// -p is about other commands here; what a list can tell is what is stored.
	selected, err := opts.selected(home)
	if err != nil {
		return err
	}
	gateways, err := opts.gateways(ctx, home)
	if err != nil {
		return err
	}
	opts.warnHung(gateways)
	services := states(gateways)
	infos := make([]profileInfo, 0, len(list))
	for _, p := range list {
		info, err := opts.describe(p, selected, services)
		if err != nil {
			info.Problems = append(info.Problems, oneLine(err)) // one bad profile is no reason to show none
		}
		infos = append(infos, info)
	}
	switch {
	case opts.json:
		return opts.printJSON(infos)
	case len(infos) == 0:
		opts.eprintf("There is no profile yet; make one with: %s\n", opts.command("profile", "create", "NAME"))
		return nil
	default:
		opts.printProfiles(infos)
		return nil
	}
}

// selected is the profile that commands without -p are about.
func (a *app) selected(home profiles.Home) (profiles.Name, error) {
	if env := a.getenv("HERMES_PROFILE"); env != "" {
		return parseName("HERMES_PROFILE", env)
	}
	return home.Sticky()
}

func (opts *profileListOptions) printProfiles(infos []profileInfo) {
	t := &table{header: []string{"NAME", "SELECTED", "ENABLED", "PORT", "STATE", "UPSTREAM", "PROBLEM"}}
	for _, info := range infos {
		mark := ""
		if info.Selected {
			mark = "*"
		}
		problem := ""
		if len(info.Problems) > 0 {
			problem = info.Problems[0]
		}
		enabled := yesNo(info.Enabled)
		if problem != "" {
			enabled = ""
		}
		row := cells(cmp.Or(string(info.Name), filepath.Base(info.Dir)), mark, enabled, number(info.Port), string(info.State), info.Upstream, problem)
		row[0].style, row[4].style, row[6].style = bold, stateStyle(info.State), red
		t.add(row...)
	}
	opts.printTable(t)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

type profileShowOptions struct {
	*app
	name string
	json bool
}

func newProfileShowCmd(a *app) *cobra.Command {
	opts := &profileShowOptions{app: a}
	cmd := &cobra.Command{
		Use:     "show [NAME]",
		Short:   "Show a profile: where it is, how clients reach it, what answers",
		Example: "  hermes profile show\n  hermes profile show alice --json",
		Args:    words("[NAME]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				opts.name = args[0]
			}
			return profileShowRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeOneProfile,
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func profileShowRun(ctx context.Context, opts *profileShowOptions) error {
	home, err := opts.home()
	if err != nil {
		return err
	}
	name, err := opts.app.name()
	if opts.name != "" {
		name, err = parseName("NAME", opts.name)
	}
	if err != nil {
		return err
	}
	profile, err := home.Get(name)
	if err != nil {
		return err
	}
	selected, err := opts.selected(home)
	if err != nil {
		return err
	}
	gateways, err := opts.gateways(ctx, home)
	if err != nil {
		return err
	}
	opts.warnHung(gateways)
	info, err := opts.describe(profile, selected, states(gateways))
	if err != nil {
		return err
	}
	if !profile.SetUp() && !info.Enabled { // the environment may do without files
		return opts.notSetUp()
	}
	if opts.json {
		return opts.printJSON(info)
	}
	fields := []field{
		{"name", cell{string(info.Name), bold}},
		{"directory", cell{text: info.Dir}},
		{"selected", cell{text: yesNo(info.Selected)}},
		{"state", cell{string(info.State), stateStyle(info.State)}},
		{"worker pid", cell{text: number(info.PID)}},
	}
	if len(info.Problems) == 0 {
		key := "none: only programs on this machine may connect"
		if info.Key {
			key = "set; print it with: " + opts.commandFor(name, "config", "get", "API_SERVER_KEY", "--reveal")
		}
		fields = append(fields,
			field{"enabled", cell{text: yesNo(info.Enabled)}},
			field{"port", cell{text: strconv.Itoa(info.Port)}},
			field{"url", cell{text: info.URL}},
			field{"key", cell{text: key}},
			field{"model", cell{text: info.Model}},
			field{"upstream", cell{text: info.Upstream}})
	}
	for _, problem := range info.Problems {
		fields = append(fields, field{"problem", cell{problem, red}})
	}
	opts.printFields(fields)
	return nil
}
