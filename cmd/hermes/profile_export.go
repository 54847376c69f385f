package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"hermes/profiles"
	"hermes/worker/store"
)

// toStdout is the name of a file that stands for stdin or stdout.
const toStdout = "-"

type profileExportOptions struct {
	*app
	name, output         string
	secrets, noWorkspace bool
	json                 bool
}

func newProfileExportCmd(a *app) *cobra.Command {
	opts := &profileExportOptions{app: a}
	cmd := &cobra.Command{
		Use:   "export NAME",
		Short: "Write a profile to a file, to keep it or to move it",
		Long: `Write a profile to an archive: settings, personality, memories, skills,
conversations and workspace. It may be served meanwhile; its database is copied as
it is at one moment. Logs and the home directory of its commands are not in it.
Links that leave the workspace, sockets and the like are left out, and named.
Keys and all other secrets are left out too, unless you ask for --secrets; then
whoever has the file can use them.
The archive goes to NAME.tar.gz, to FILE, or to stdout when that is a pipe or FILE
is -.`,
		Example: `  hermes profile export alice
  hermes profile export alice --no-workspace -o /backup/alice.tar.gz
  hermes profile export alice --secrets | ssh host hermes profile import -`,
		Args: words("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.name = args[0]
			return profileExportRun(cmd.Context(), opts)
		},
		ValidArgsFunction: a.completeOneProfile,
	}
	cmd.Flags().StringVarP(&opts.output, "output", "o", "", "write to `FILE`, - is stdout")
	cmd.Flags().BoolVar(&opts.secrets, "secrets", false, "take the keys along")
	cmd.Flags().BoolVar(&opts.noWorkspace, "no-workspace", false, "leave the workspace out")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// exportedProfile is what a program is told of an archive.
type exportedProfile struct {
	Name      profiles.Name `json:"name"`
	File      string        `json:"file"`
	Bytes     int64         `json:"bytes"`
	Files     int           `json:"files"`
	Secrets   bool          `json:"secrets"`
	Workspace bool          `json:"workspace"`
	Skipped   []string      `json:"skipped"`
}

func profileExportRun(ctx context.Context, opts *profileExportOptions) error {
	name, err := parseName("NAME", opts.name)
	if err != nil {
		return err
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	profile, err := home.Get(name)
	if err != nil {
		return err
	}
	if !profile.SetUp() {
		return opts.notSetUp()
	}
	if opts.output == "" && !opts.outTTY {
		opts.output = toStdout
	}
	switch {
	case opts.output == toStdout && opts.json:
		return usagef("--json needs -o FILE, since the archive goes to stdout")
	case opts.output == toStdout && opts.outTTY:
		return usagef("an archive is nothing for a terminal; use -o FILE")
	case opts.output == "":
		opts.output = string(name) + ".tar.gz"
		if _, err := os.Lstat(opts.output); err == nil {
			return fmt.Errorf("%s is there already; to replace it: %s", opts.output, opts.command("profile", "export", string(name), "-o", opts.output))
		}
	}
	if opts.secrets {
		opts.errorf("warning: the archive will hold the API key and all other secrets of %s in plain text; keep it as you keep a password", name)
	}
	said := exportedProfile{Name: name, File: opts.output, Secrets: opts.secrets, Workspace: !opts.noWorkspace, Skipped: []string{}}
	if err := opts.write(ctx, profile, &said); err != nil {
		return err
	}
	if opts.json {
		return opts.printJSON(said)
	}
	for _, skipped := range said.Skipped {
		opts.errorf("left out: %s", skipped)
	}
	if opts.output != toStdout {
		opts.printf("Profile %s is in %s: %d files, %s.\n", name, opts.output, said.Files, byteSize(said.Bytes))
		if !opts.secrets {
			opts.printf("Its keys are not; with them: --secrets.\n")
		}
	}
	return nil
}

// write makes the archive. A file appears whole, or not at all.
func (opts *profileExportOptions) write(ctx context.Context, profile profiles.Profile, said *exportedProfile) (err error) {
	counted := &countingWriter{to: opts.out}
	var file *renameio.PendingFile
	if opts.output != toStdout {
		file, err = renameio.NewPendingFile(opts.output, renameio.WithStaticPermissions(0o600))
		if err != nil {
			return fmt.Errorf("write %s: %w", opts.output, err)
		}
		defer func() { err = errors.Join(err, file.Cleanup()) }() // after the replacement nothing is left to do
		counted.to = file
	}
	end := opts.progress(ctx, func() string {
		return fmt.Sprintf("exporting %s: %s written", profile.Name, byteSize(counted.n.Load()))
	})
	exported, err := profile.Export(ctx, counted, profiles.ExportOptions{
		Secrets: opts.secrets, NoWorkspace: opts.noWorkspace, MadeBy: "hermes " + readBuild().Version, Backup: store.Backup,
	})
	if err == nil && file != nil {
		err = file.CloseAtomicallyReplace()
	}
	end()
	if err != nil {
		return err
	}
	said.Bytes, said.Files = counted.n.Load(), exported.Files
	said.Skipped = append(said.Skipped, exported.Skipped...)
	return nil
}

// countingWriter counts what is written through it, for those who wait.
type countingWriter struct {
	to io.Writer
	n  atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.n.Add(int64(n))
	return n, err
}

// byteSize is a number of bytes for a person.
func byteSize(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
