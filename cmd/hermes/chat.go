package main

import (
	"context"
	"errors"
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
	words []string
}

func newChatCmd(a *app) *cobra.Command {
	opts := &chatOptions{app: a}
	return &cobra.Command{
		Use:   "chat [MESSAGE...]",
		Short: "Talk to a profile's agent",
		Long: `Send a message to a profile's own API and print the answer as it comes. What is
piped in is sent too, after the message. Without any message, on a terminal, it
goes on until Ctrl-D.

A gateway must serve the profile. Ctrl-C stops the turn and its tools.`,
		Example: `  hermes chat "what is in my workspace?"
  hermes -p alice chat 'run ` + "`pwd`" + `'
  git diff | hermes chat "review this"
  hermes chat`,
		Args: words("[MESSAGE...]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts.words = args
			return chatRun(cmd.Context(), opts)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
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
	message, err := opts.message(ctx)
	if err != nil {
		return err
	}
	if message != "" {
		return talk.say(ctx, message)
	}
	if !opts.interactive() {
		return usagef("the message is missing: give it as an argument or pipe it in")
	}
	return opts.loop(ctx, talk)
}

// message puts together what was given as arguments and what was piped in.
func (opts *chatOptions) message(ctx context.Context) (string, error) {
	message := strings.TrimSpace(strings.Join(opts.words, " "))
	if opts.inTTY || message != "" && !opts.piped() {
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

// loop reads messages and prints answers until the input ends.
func (opts *chatOptions) loop(ctx context.Context, talk *conversation) error {
	opts.eprintf("Talking to %s. Ctrl-D ends.\n", talk.profile.Name)
	for {
		opts.eprintf("%s ", bold.paint(opts.colours(opts.errTTY), ">"))
		message, err := opts.readLine(ctx)
		if errors.Is(err, errNoAnswer) {
			return nil
		}
		if err != nil {
			return err
		}
		if message == "" {
			continue
		}
		if err := talk.say(ctx, message); err != nil {
			if ctx.Err() != nil {
				return err
			}
			opts.errorf("%s", oneLine(err))
		}
	}
}
