package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor"
	"hermes/supervisor/handoff"
	"hermes/worker"
	"hermes/worker/llm/detect"
)

// doctor looks at one thing after the other.
type doctor struct {
	*app
	home     profiles.Home
	gateways []running
	services map[profiles.Name]supervisor.ProfileStatus
	level    handoff.Walls // of this machine
	checks   []check
	local    *localModel

	progressed
}

func (d *doctor) add(c check) { d.checks = append(d.checks, c) }

func (d *doctor) examine(ctx context.Context, list []profiles.Profile) {
	d.directory("", "home", d.home.Dir())
	d.programs()
	d.isolation(ctx)
	d.together()
	d.gateway(ctx)
	d.limits()
	if len(list) == 0 {
		d.add(check{Name: "profiles", Result: checkNote, Text: "there is none yet", Mend: "make one with: " + d.command("setup")})
	}
	ports := map[int]profiles.Name{}
	for _, p := range list {
		d.now("profile " + string(p.Name))
		loaded, ok := d.settings(p)
		d.files(p)
		if ok && loaded.Config.APIServer.Enabled {
			d.port(ctx, p.Name, loaded.Config.APIServer, ports)
		}
		if ok {
			d.walls(p.Name, loaded)
			d.models(ctx, p.Name, loaded)
			d.prompt(p, loaded) //nolint:contextcheck // no server is asked
			d.mcp(p, loaded)    //nolint:contextcheck // no server is asked
		}
	}
}

// directory checks that a directory is there and that nobody else can look into
// it.
func (d *doctor) directory(profile profiles.Name, name, dir string) {
	c := check{Profile: profile, Name: name, Result: checkOK, Text: dir}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Result, c.Text, c.Mend = checkNote, dir+" does not exist yet", "make it with: "+d.command("setup")
	case err != nil:
		c.Result, c.Text = checkProblem, oneLine(err)
	case !info.IsDir():
		c.Result, c.Text, c.Mend = checkProblem, dir+" is not a directory", "move it away"
	case profiles.Profile{Dir: dir}.OpenToOthers(info) != 0:
		c.Result, c.Text = checkProblem, fmt.Sprintf("%s can be read by others (mode %o)", dir, info.Mode().Perm())
		c.Mend = "close it with: chmod 700 " + quote(dir)
	}
	d.add(c)
}

// programs looks for what tools run.
func (d *doctor) programs() {
	for _, program := range []struct{ name, why, result string }{
		{"sh", "the terminal tool needs it", checkProblem},
		{"git", "agents often use it", checkNote},
		{"rg", "searching in files falls back to a slower way without it", checkNote},
	} {
		c := check{Name: "program " + program.name, Result: checkOK}
		path, err := exec.LookPath(program.name)
		if err != nil {
			c.Result, c.Text, c.Mend = program.result, "it is not on PATH; "+program.why, "install it"
		} else {
			c.Text = path
		}
		d.add(c)
	}
}

// limits says how memory and processes of profiles are held.
func (d *doctor) limits() {
	c := check{Name: "limits", Result: checkOK}
	here := supervisor.LimitsHere()
	for _, gateway := range d.gateways {
		if gateway.hung == nil && gateway.Isolation.Limits != "" {
			here = gateway.Isolation
		}
	}
	c.Text = "limits.memory and limits.processes are " + here.Words
	if here.Why != "" {
		c.Result = checkNote
		c.Text += " (" + here.Why + ")"
		c.Mend = "for limits that the kernel holds, run the gateway under systemd: " + d.command("deploy", "systemd")
	}
	d.add(c)
}

func (d *doctor) gateway(ctx context.Context) {
	d.now("the gateway")
	c := check{Name: "gateway", Result: checkOK}
	var err error
	d.gateways, err = d.app.gateways(ctx, d.home)
	d.services = states(d.gateways)
	switch {
	case err != nil:
		c.Result, c.Text = checkProblem, oneLine(err)
	case len(d.gateways) == 0:
		c.Result, c.Text, c.Mend = checkNote, "none is running", "start one with: "+d.command("gateway", "--all")
	}
	if c.Text != "" {
		d.add(c)
		return
	}
	for _, gateway := range d.gateways {
		if gateway.hung != nil {
			d.add(check{Name: "gateway", Result: checkProblem, Text: oneLine(gateway.hung)})
			continue
		}
		d.add(check{Name: "gateway", Result: checkOK, Text: fmt.Sprintf("pid %d serves %s", gateway.PID, gateway.client.Name())})
		for _, status := range gateway.Profiles {
			if !healthy(status) {
				d.add(check{
					Profile: profiles.Name(status.Name), Name: "worker", Result: checkProblem,
					Text: fmt.Sprintf("it is %s: %s", status.State, status.Reason), Mend: "see: " + d.command("gateway", "logs", status.Name),
				})
			}
		}
	}
}

// settings checks that a profile's settings are right.
func (d *doctor) settings(p profiles.Profile) (configs.Loaded, bool) {
	loaded, err := d.load(p)
	if err == nil {
		d.add(check{Profile: p.Name, Name: "settings", Result: checkOK, Text: "they are right"})
		for _, warning := range loaded.Warnings {
			d.add(check{Profile: p.Name, Name: "settings", Result: checkNote, Text: warning})
		}
		return loaded, true
	}
	var problems *configs.Problems
	if !errors.As(err, &problems) {
		d.add(check{Profile: p.Name, Name: "settings", Result: checkProblem, Text: oneLine(err)})
		return loaded, false
	}
	for _, problem := range problems.List {
		d.add(check{Profile: p.Name, Name: "settings", Result: checkProblem, Text: oneLine(problem)})
	}
	return loaded, false
}

// files checks that a profile's secrets are its own, and that its agent can work.
func (d *doctor) files(p profiles.Profile) {
	if p.Name != profiles.Default {
		d.directory(p.Name, "directory", p.Dir)
	}
	for _, file := range []string{p.EnvFile(), p.ConfigFile()} {
		info, err := os.Stat(file)
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			d.add(check{
				Profile: p.Name, Name: "files", Result: checkProblem,
				Text: fmt.Sprintf("%s can be read by others (mode %o)", file, info.Mode().Perm()), Mend: "close it with: chmod 600 " + quote(file),
			})
		}
	}
	c := check{Profile: p.Name, Name: "workspace", Result: checkOK, Text: p.Workspace()}
	if err := writable(p.Workspace()); errors.Is(err, fs.ErrNotExist) {
		c.Result, c.Text = checkNote, p.Workspace()+" does not exist yet; the gateway makes it"
	} else if err != nil {
		c.Result, c.Text, c.Mend = checkProblem, oneLine(err), "make it writable with: chmod u+rwx "+quote(p.Workspace())
	}
	d.add(c)
}

// writable tries to make a file in the directory.
func writable(dir string) error {
	file, err := os.CreateTemp(dir, ".hermes-doctor-")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(filepath.Clean(file.Name())))
}

// port checks that the profile's port is its own.
func (d *doctor) port(ctx context.Context, name profiles.Name, server configs.APIServer, ports map[int]profiles.Name) {
	c := check{Profile: name, Name: "port", Result: checkOK}
	move := "give it another one with: " + d.command("-p", string(name), "config", "set", "API_SERVER_PORT", "PORT")
	if other, taken := ports[server.Port]; taken {
		c.Result, c.Text, c.Mend = checkProblem, fmt.Sprintf("%d is the port of profile %s too", server.Port, other), move
		d.add(c)
		return
	}
	ports[server.Port] = name
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(server.Host, strconv.Itoa(server.Port)))
	status, served := d.services[name]
	switch {
	case err == nil:
		_ = listener.Close()
		c.Text = fmt.Sprintf("%d is free", server.Port)
	case served && status.Port == server.Port && status.State != supervisor.StateBlocked:
		c.Text = fmt.Sprintf("%d is served by the gateway", server.Port)
	default:
		c.Result, c.Text, c.Mend = checkProblem, fmt.Sprintf("%d cannot be listened on: %s", server.Port, oneLine(bare(err))), move
	}
	d.add(c)
}

// models checks that what should answer can be reached.
func (d *doctor) models(ctx context.Context, name profiles.Name, loaded configs.Loaded) {
	for i, up := range loaded.Upstreams() {
		c := check{Profile: name, Name: "model", Result: checkOK}
		if i > 0 {
			c.Name = "fallback model " + strconv.Itoa(i)
		}
		switch up.Provider {
		case configs.Auto:
			d.auto(ctx, &c)
		case configs.Demo:
			c.Result, c.Text = checkNote, "the built-in demo model answers, because "+up.Source+"; it is no language model"
		default:
			d.reach(ctx, &c, up)
		}
		d.add(c)
	}
}

// prompt says what each request costs before anybody has said a word.
func (d *doctor) prompt(p profiles.Profile, loaded configs.Loaded) {
	c := check{Profile: p.Name, Name: "prompt", Result: checkOK}
	prompt, err := promptOf(p, loaded)
	if err != nil {
		c.Result, c.Text = checkProblem, oneLine(err)
	} else {
		c.Text = fmt.Sprintf("about %d tokens, and %d for the tools; see: %s",
			prompt.SystemTokens(), prompt.ToolsTokens(), d.commandFor(p.Name, "prompt"))
	}
	d.add(c)
}

// mcp says what is known of each MCP server. None is asked: starting programs is
// not what one expects of a look.
func (d *doctor) mcp(p profiles.Profile, loaded configs.Loaded) {
	for _, server := range worker.MCPServers(supervisor.StartOf(p, loaded)) {
		c := check{Profile: p.Name, Name: "mcp " + server.Name, Result: checkOK}
		c.Text = fmt.Sprintf("%d tools, about %d tokens", len(server.Tools), server.Tokens)
		if server.Asked.IsZero() {
			c.Result, c.Text = checkNote, "never asked for its tools; try it with: "+d.commandFor(p.Name, "mcp", "test", server.Name)
		}
		d.add(c)
	}
}

// localModel is what was found on this machine, looked for once.
type localModel struct {
	found detect.Found
	ok    bool
}

func (d *doctor) auto(ctx context.Context, c *check) {
	if d.local == nil {
		found, ok, err := detect.Local(ctx, detect.Options{})
		d.local = &localModel{found, ok && err == nil}
	}
	if d.local.ok {
		c.Text = fmt.Sprintf("%s, served by %s on this machine (%s)", d.local.found.Model, d.local.found.Name, d.local.found.BaseURL)
		return
	}
	c.Result, c.Text = checkNote, "no provider key is set and no server was found on this machine, so the built-in demo model answers; it is no language model"
	c.Mend = "configure one with: " + d.command("config", "set", "OPENAI_API_KEY", "KEY")
}

func (d *doctor) reach(ctx context.Context, c *check, up configs.Upstream) {
	c.Text = fmt.Sprintf("%s (%s)", upstreamText(up), up.Source)
	models, err := listModels(ctx, up)
	switch {
	case errors.Is(err, errNoList):
		c.Text += "; it answers, but does not list its models"
	case err != nil:
		c.Result, c.Text = checkProblem, c.Text+": "+oneLine(err)
		c.Mend = "check model.base_url, the provider's key and the network"
	case up.Model != "" && len(models) > 0 && !slices.Contains(models, up.Model):
		c.Result, c.Text = checkNote, c.Text+"; the provider does not list this model"
	}
}
