package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"hermes/worker"
)

func newSessionCmd(a *app) *cobra.Command {
	return newGroup("session", "Look into a profile's conversations", &cobra.Command{
		Long: `List, show, search and export the conversations of a profile. They are read
from its database, whether a gateway serves the profile or not, and never
changed.`,
		Example: `  hermes session list
  hermes -p alice session search "train to Bern"`,
	},
		newSessionListCmd(a),
		newSessionShowCmd(a),
		newSessionSearchCmd(a),
		newSessionExportCmd(a),
	)
}

// inArchive does something with the sessions of the profile that the command is
// about.
func (a *app) inArchive(use func(archive *worker.Archive) error) (err error) {
	profile, err := a.profile()
	if err != nil {
		return err
	}
	archive := worker.OpenArchive(profile.Database())
	defer func() { err = errors.Join(err, archive.Close()) }()
	return use(archive)
}

// session reads one, and says of one that is not there how to find it.
func (a *app) session(ctx context.Context, id string) (transcript worker.Transcript, err error) {
	err = a.inArchive(func(archive *worker.Archive) error {
		transcript, err = archive.Read(ctx, id)
		return err
	})
	if ambiguous, ok := errors.AsType[*worker.AmbiguousError](err); ok {
		return transcript, usagef("%w; give more of it", ambiguous)
	}
	if errors.Is(err, worker.ErrNoSession) {
		name, nameErr := a.name()
		if nameErr != nil {
			return transcript, nameErr
		}
		return transcript, usagef("profile %s has no session %q; list them with: %s", name, id, a.commandFor(name, "session", "list"))
	}
	return transcript, err
}

// checkLimit is for the flag of commands that show a number of sessions.
func checkLimit(limit int) error {
	if limit < 1 {
		return usagef("--limit must be at least 1")
	}
	return nil
}

type sessionListOptions struct {
	*app
	limit int
	all   bool
	json  bool
}

func newSessionListCmd(a *app) *cobra.Command {
	opts := &sessionListOptions{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the conversations, the latest first",
		Example: "  hermes session list\n  hermes -p alice session list --limit 100 --json",
		Args:    words(),
		Aliases: []string{"ls"},
		RunE:    func(cmd *cobra.Command, _ []string) error { return sessionListRun(cmd.Context(), opts) },
	}
	cmd.Flags().IntVarP(&opts.limit, "limit", "n", 20, "how many")
	cmd.Flags().BoolVarP(&opts.all, "all", "a", false, "also the sessions of tasks that an agent handed on to a helper")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func sessionListRun(ctx context.Context, opts *sessionListOptions) error {
	if err := checkLimit(opts.limit); err != nil {
		return err
	}
	return opts.inArchive(func(archive *worker.Archive) error {
		list, err := archive.List(ctx, opts.limit, opts.all)
		switch {
		case err != nil:
			return err
		case opts.json:
			return opts.printJSON(list)
		case len(list) == 0:
			opts.eprintf("There is no conversation yet.\n")
			return nil
		}
		t := &table{header: []string{"SESSION", "LAST USED", "TURNS", "MESSAGES", "SOURCE", "NAME", "TITLE"}}
		for _, s := range list {
			title := s.Title
			if s.Parent != "" {
				title += " (task of " + s.Parent + ")"
			}
			row := cells(s.ID, s.Updated.Format(time.DateTime), number(s.Turns), number(s.Messages), s.Source, s.Name, title)
			row[0].style = bold
			t.add(row...)
		}
		opts.printTable(t)
		return nil
	})
}

type sessionSearchOptions struct {
	*app
	query string
	limit int
	json  bool
}

func newSessionSearchCmd(a *app) *cobra.Command {
	opts := &sessionSearchOptions{app: a}
	cmd := &cobra.Command{
		Use:   "search QUERY",
		Short: "Search what was said, and what tools answered",
		Long: `Search the messages of all conversations. Messages that hold all words are
found, or any of them if there are none. "Words in quotes" stand together, and
a star stands for the rest of a word. What was said in the last seconds is found
a little later.`,
		Example: "  hermes session search \"train to Bern\"\n  hermes -p alice session search 'deploy*' --json",
		Args:    words("QUERY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.query = args[0]
			return sessionSearchRun(cmd.Context(), opts)
		},
	}
	cmd.Flags().IntVarP(&opts.limit, "limit", "n", 10, "how many sessions")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func sessionSearchRun(ctx context.Context, opts *sessionSearchOptions) error {
	if err := checkLimit(opts.limit); err != nil {
		return err
	}
	return opts.inArchive(func(archive *worker.Archive) error {
		matches, err := archive.Search(ctx, opts.query, opts.limit)
		switch {
		case err != nil:
			return err
		case opts.json:
			return opts.printJSON(matches)
		case len(matches) == 0:
			opts.eprintf("Nothing was found. What was said in the last seconds may take a moment to be found.\n")
			return nil
		}
		t := &table{header: []string{"SESSION", "WHEN", "WHO", "WHAT"}}
		for _, match := range matches {
			for _, hit := range match.Hits {
				row := cells(match.ID, hit.At.Format(time.DateTime), hit.Role, hit.Snippet)
				row[0].style = bold
				t.add(row...)
			}
		}
		opts.printTable(t)
		return nil
	})
}
