package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"hermes/supervisor"
	"hermes/worker/store"
)

// build is what the Go toolchain wrote into the binary.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Time    string `json:"time,omitempty"` // of the commit
	// Modified says that the source differed from the commit.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	// Handoff, Carry and Schema are for a gateway that is to become this program.
	Handoff int `json:"handoff"`
	Carry   int `json:"carry"`
	Schema  int `json:"schema"`
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	p := supervisor.ThisProgram("", store.Schema())
	b.Handoff, b.Carry, b.Schema = p.Handoff, p.Carry, p.Schema
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = cmp.Or(info.Main.Version, b.Version)
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

// String is one line: hermes v1.2.3 (commit, go, system).
func (b build) String() string {
	commit := ""
	if len(b.Commit) >= 12 {
		commit = b.Commit[:12] + ", "
	}
	return fmt.Sprintf("hermes %s (%s%s, %s/%s)", b.Version, commit, b.Go, b.OS, b.Arch)
}

type versionOptions struct {
	*app
	json bool
}

func newVersionCmd(a *app) *cobra.Command {
	opts := &versionOptions{app: a}
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Say which hermes this is",
		Example: "  hermes version\n  hermes version --json",
		Args:    words(),
		RunE:    func(*cobra.Command, []string) error { return versionRun(opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func versionRun(opts *versionOptions) error {
	if opts.json {
		return opts.printJSON(readBuild())
	}
	opts.printf("%s\n", readBuild())
	return nil
}
