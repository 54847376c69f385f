package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

const (
	// chatInput bounds a message that is read from stdin, in bytes. It stays below
	// the default limit of a request's body.
	chatInput = 8 << 20
)

type chatOptions struct {
	*app
	words     []string
	session   string
	named     bool // --session was given
	continued bool
	fresh     bool
	quiet     bool
	json      bool
}

func newChatCmd(a *app) *cobra.Command {
	opts := &chatOptions{app: a}
	cmd := &cobra.Command{
		Use:   "chat [MESSAGE...]",
		Short: "Talk to a profile's agent",
		Long: `Send a message to a profile's own API and print the answer as it comes. What is
piped in is sent too, after the message; with - as the message, all of it comes
from stdin. Without any message, on a terminal, it goes on until Ctrl-D; /help
says what can be done there, and what was typed is kept for the arrow keys in the
profile's data/chat_history.

A gateway must serve the profile, and it keeps what was said: each run begins a
session of its own, unless --session or --continue says which one goes on. A
session can be continued as long as api_server.stored_responses lets its last
answer be kept.

On a terminal Markdown is drawn, unless NO_COLOR is set; in a pipe the answer is
as the model wrote it. What the agent's tools do goes to stderr. Ctrl-C stops the
turn and its tools, and what was said stays. The exit code is 1 when the turn
failed, and 130 when it was stopped.`,
		Example: `  hermes chat "what is in my workspace?"
  hermes chat --continue "and which of these is the largest?"
  hermes -p alice chat --session work 'run ` + "`pwd`" + `'
  git diff | hermes chat "review this" > review.md
  hermes chat`,
		Args: words("[MESSAGE...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.words = args
			opts.named = cmd.Flags().Changed("session")
			return chatRun(cmd.Context(), opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVarP(&opts.session, "session", "s", "", "go on with the session of this `NAME` or id, or begin one of that name")
	cmd.Flags().BoolVarP(&opts.continued, "continue", "c", false, "go on with the last session of this command")
	cmd.Flags().BoolVar(&opts.fresh, "new", false, "begin a session (default)")
	cmd.Flags().BoolVarP(&opts.quiet, "quiet", "q", false, "print nothing but the answer")
	cmd.Flags().BoolVar(&opts.json, "json", false, "print the whole response as JSON, when it is there")
	must(cmd.RegisterFlagCompletionFunc("session", cobra.NoFileCompletions))
	return cmd
}

func chatRun(ctx context.Context, opts *chatOptions) error {
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	loaded, err := opts.load(profile)
	if err != nil {
		return err
	}
	talk := newConversation(opts.app, profile, loaded.Config.APIServer)
	talk.quiet, talk.json = opts.quiet, opts.json
	if talk.name, err = opts.chosenSession(ctx); err != nil {
		return err
	}
	message, err := opts.message(ctx)
	if err != nil {
		return err
	}
	if message != "" {
		return talk.say(ctx, message)
	}
	if !opts.interactive() || opts.fromStdin() {
		return usagef("the message is missing: give it as an argument or pipe it in")
	}
	return opts.loop(ctx, talk)
}

// fromStdin reports whether the message is asked for from stdin.
func (opts *chatOptions) fromStdin() bool { return len(opts.words) == 1 && opts.words[0] == "-" }

// message puts together what was given as arguments and what was piped in.
func (opts *chatOptions) message(ctx context.Context) (string, error) {
	message := strings.TrimSpace(strings.Join(opts.words, " "))
	switch {
	case opts.fromStdin():
		message = ""
	case opts.inTTY || message != "" && !opts.piped():
		return message, nil
	}
	end := opts.progress(ctx, func() string {
		return "reading the rest of the message from stdin; end it with Ctrl-D, or add </dev/null"
	})
	piped, err := abandon(ctx, func() (string, error) {
		data, err := io.ReadAll(io.LimitReader(opts.in, chatInput+1))
		if err != nil {
			return "", fmt.Errorf("read message: %w", err)
		}
		return string(data), nil
	})
	end()
	if err != nil {
		return "", err
	}
	if len(piped) > chatInput {
		return "", usagef("what is piped in is longer than %d bytes", chatInput)
	}
	return strings.TrimSpace(message + "\n\n" + strings.TrimSpace(piped)), nil
}

// piped reports whether stdin is a regular file or a pipe, and not, say, the
// socket that a service was started with and that nobody ends.
func (opts *chatOptions) piped() bool {
	file, ok := opts.in.(*os.File)
	if !ok {
		return true
	}
	info, err := file.Stat()
	return err == nil && (info.Mode().IsRegular() || info.Mode()&fs.ModeNamedPipe != 0)
}
