package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"hermes/worker"
	"hermes/worker/openai"
)

// The forms of an export.
const (
	formatMarkdown = "md"
	formatJSON     = "json"
)

type sessionShowOptions struct {
	*app
	id   string
	json bool
}

func newSessionShowCmd(a *app) *cobra.Command {
	opts := &sessionShowOptions{app: a}
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a conversation, with what its tools did",
		Long:    "Show a conversation. ID is its id, as much of the beginning of that as no other one shares, or its name.",
		Example: "  hermes session show chat_0197f3a2-6c1e\n  hermes -p alice session show work --json",
		Args:    words("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.id = args[0]
			return sessionShowRun(cmd.Context(), opts)
		},
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

func sessionShowRun(ctx context.Context, opts *sessionShowOptions) error {
	transcript, err := opts.session(ctx, opts.id)
	if err != nil {
		return err
	}
	if opts.json {
		return opts.printJSON(transcript)
	}
	opts.printf("%s", printable(string(markdown(transcript))))
	return nil
}

type sessionExportOptions struct {
	*app
	id, output, format string
}

func newSessionExportCmd(a *app) *cobra.Command {
	opts := &sessionExportOptions{app: a}
	cmd := &cobra.Command{
		Use:   "export ID",
		Short: "Write a conversation as Markdown or JSON",
		Long: `Write a conversation to stdout, or with -o to a file that only its owner may
read. ID is its id, as much of the beginning of that as no other one shares, or
its name.`,
		Example: `  hermes session export chat_0197f3a2-6c1e -o bern.md
  hermes session export work --format json`,
		Args: words("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.id = args[0]
			return sessionExportRun(cmd.Context(), opts)
		},
	}
	cmd.Flags().StringVarP(&opts.output, "output", "o", "", "write to `FILE`")
	cmd.Flags().StringVar(&opts.format, "format", "", "md or json (default: as FILE ends, else md)")
	must(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatMarkdown, formatJSON}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func sessionExportRun(ctx context.Context, opts *sessionExportOptions) error {
	if opts.format == "" {
		opts.format = formatMarkdown
		if strings.EqualFold(filepath.Ext(opts.output), ".json") {
			opts.format = formatJSON
		}
	}
	if opts.format != formatMarkdown && opts.format != formatJSON {
		return usagef("--format must be md or json, not %q", opts.format)
	}
	transcript, err := opts.session(ctx, opts.id)
	if err != nil {
		return err
	}
	text := markdown(transcript)
	if opts.format == formatJSON {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(transcript); err != nil {
			return fmt.Errorf("write JSON: %w", err)
		}
		text = b.Bytes()
	}
	if opts.output == "" {
		opts.printf("%s", text)
		return nil
	}
	if err := renameio.WriteFile(opts.output, text, 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("write %s: %w", opts.output, err)
	}
	opts.printf("Wrote %d messages to %s.\n", len(transcript.Entries), opts.output)
	return nil
}

// markdown is a conversation for people.
func markdown(t worker.Transcript) []byte {
	var b bytes.Buffer
	title := t.Title
	if title == "" {
		title = t.ID
	}
	name := ""
	if t.Name != "" {
		name = " (" + t.Name + ")"
	}
	fmt.Fprintf(&b, "# %s\n\nSession %s%s, %s to %s, %d turns by %s.\n", title, t.ID, name,
		t.Created.Format(time.DateTime), t.Updated.Format(time.DateTime), t.Turns, t.Source)
	if t.Parent != "" {
		fmt.Fprintf(&b, "A task of session %s.\n", t.Parent)
	}
	if len(t.Isolation) > 0 {
		fmt.Fprintf(&b, "Walls of level: %s.\n", strings.Join(t.Isolation, "; then "))
	}
	for _, child := range t.Children {
		fmt.Fprintf(&b, "Handed on to session %s: %s\n", child.ID, child.Title)
	}
	for _, entry := range t.Entries {
		who := map[string]string{openai.RoleUser: "You", openai.RoleAssistant: "Agent"}[entry.Role]
		if who == "" {
			who = strings.TrimSpace("Result of " + entry.Tool)
		}
		fmt.Fprintf(&b, "\n## %s, %s (#%d)\n", who, entry.At.Format(time.DateTime), entry.ID)
		switch text := strings.TrimRight(entry.Text, "\n"); {
		case entry.CallID != "":
			fmt.Fprintf(&b, "\n%s\n", fenced(text))
		case text != "":
			fmt.Fprintf(&b, "\n%s\n", text)
		}
		for _, call := range entry.Calls {
			fmt.Fprintf(&b, "\nCalls %s:\n\n%s\n", call.Name, fenced(call.Arguments))
		}
	}
	return b.Bytes()
}

// fenced puts text into a code block, whatever backticks are in it.
func fenced(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "\n" + text + "\n" + fence
}
