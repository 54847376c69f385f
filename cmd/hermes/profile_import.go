package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/spf13/cobra"

	"hermes/profiles"
	"hermes/worker/store"
)

type profileImportOptions struct {
	*app
	file, name string
	port       int
	portGiven  bool
	json       bool
}

func newProfileImportCmd(a *app) *cobra.Command {
	opts := &profileImportOptions{app: a}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Make a profile of an archive",
		Long: `Make a profile of an archive that "profile export" has written; - reads it from
stdin. It gets the name that it had, a port and a key of its own. If the archive
has its secrets and its port is free, it keeps both.
The settings, skills and memories of an archive are as good as whoever made it:
they say which server the model is asked at, and what the agent does.`,
		Example: `  hermes profile import alice.tar.gz
  hermes profile import alice.tar.gz --name alice-on-trial
  ssh host hermes profile export alice | hermes profile import -`,
		Args: words("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.file = args[0]
			opts.portGiven = cmd.Flags().Changed("port")
			return profileImportRun(cmd.Context(), opts)
		},
	}
	cmd.Flags().StringVar(&opts.name, "name", "", "call the profile `NAME` instead")
	cmd.Flags().IntVar(&opts.port, "port", 0, "serve on this `PORT`")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func profileImportRun(ctx context.Context, opts *profileImportOptions) error {
	with := profiles.ImportOptions{Port: opts.port, Check: checkDatabase}
	var err error
	if opts.name != "" {
		if with.Name, err = profiles.ParseName(opts.name); err != nil {
			return usagef("--name: %w", err)
		}
	}
	if opts.portGiven && (opts.port < 1 || opts.port > 65535) {
		return usagef("--port must be between 1 and 65535, not %d", opts.port)
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	created, err := opts.read(ctx, home, with)
	if err != nil {
		return err
	}
	loaded, err := created.Profile.Load(opts.environ, nil)
	if err != nil {
		return err
	}
	server, name := loaded.Config.APIServer, created.Profile.Name
	if opts.json {
		return opts.printJSON(createdProfile{
			Name: name, Dir: created.Profile.Dir, Enabled: server.Enabled,
			Port: server.Port, URL: baseURL(server), Key: created.Key.Reveal(), Model: server.ModelName,
		})
	}
	opts.printf("Profile %s is made of %s: %s\n\n", name, opts.file, created.Profile.Dir)
	opts.printConnection(created, server)
	opts.printf("\nIts settings come from the archive; look at them before it is served: %s\n", opts.commandFor(name, "config", "list"))
	opts.printf("\nNext:\n")
	opts.nextSteps(ctx, home, name, !server.Enabled)
	return nil
}

// checkDatabase looks through the database of an archive, and ends what was in
// flight when it was made.
func checkDatabase(ctx context.Context, path string) error {
	if err := store.Check(ctx, path); err != nil {
		return err
	}
	return store.Settle(ctx, path)
}

// read makes the profile of what is in the file.
func (opts *profileImportOptions) read(ctx context.Context, home profiles.Home, with profiles.ImportOptions) (profiles.Created, error) {
	counted := &countingReader{from: opts.in}
	if opts.file != toStdout {
		f, err := os.Open(opts.file)
		if err != nil {
			return profiles.Created{}, fmt.Errorf("import profile: %w", err)
		}
		defer f.Close()
		counted.from = f
	} else if opts.inTTY {
		return profiles.Created{}, usagef("an archive is not typed; name a file")
	}
	end := opts.progress(ctx, func() string {
		return fmt.Sprintf("importing %s: %s read", opts.file, byteSize(counted.n.Load()))
	})
	defer end()
	return home.Import(ctx, counted, with)
}

// countingReader counts what is read through it, for those who wait.
type countingReader struct {
	from io.Reader
	n    atomic.Int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.n.Add(int64(n))
	return n, err
}
