package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// chatCommand matches a message that is a command of the chat. A path is none.
var chatCommand = regexp.MustCompile(`^/[a-z]+$`)

const chatHelp = `/new        begin a new session
/sessions   list the last sessions
/exit       end, as Ctrl-D does
A line that ends in \ goes on in the next one, and what is pasted stays whole.
Ctrl-C stops a turn, and at an empty line ends. Lines that begin with a space are
not kept in the history.
`

// loop reads messages and prints answers until the input ends. Ctrl-C belongs to
// the turn that runs; SIGTERM and SIGHUP end all.
func (opts *chatOptions) loop(ctx context.Context, talk *conversation) error {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if opts.letGo != nil {
		opts.letGo()
	}
	kept, err := openHistory(talk.profile.ChatHistory())
	if err != nil {
		opts.errorf("%s", oneLine(err))
	}
	editor := newLineEditor(opts.app, kept)
	opts.eprintf("Talking to %s, session %s. /help says more, Ctrl-D ends.\n", talk.profile.Name, talk.name)
	for {
		message, err := editor.read(ctx)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errInterrupted) || ctx.Err() != nil:
			return silent(exitInterrupted)
		case err != nil:
			return err
		case message == "":
			continue
		}
		if word, _, _ := strings.Cut(message, " "); chatCommand.MatchString(word) {
			if ended := opts.obey(ctx, talk, word); ended {
				return nil
			}
			continue
		}
		if strings.HasPrefix(message, "//") {
			message = message[1:] // see obey
		}
		if opts.turn(ctx, talk, message, interrupts); ctx.Err() != nil {
			return silent(exitInterrupted)
		}
	}
}

// turn has a message answered, and tells what went wrong with that.
func (opts *chatOptions) turn(ctx context.Context, talk *conversation, message string, interrupts <-chan os.Signal) {
	select {
	case <-interrupts: // that came too late for the turn before
	default:
	}
	turn, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-interrupts:
			cancel()
		case <-turn.Done():
		}
	})
	err := talk.say(turn, message)
	cancel()
	wg.Wait()
	switch {
	case errors.Is(err, context.Canceled):
		opts.eprintf("%s\n", dim.paint(opts.colours(opts.errTTY), "stopped"))
	case err != nil:
		opts.errorf("%s", oneLine(err))
	}
}

// obey does what a command of the chat says, and reports whether that ends it.
func (opts *chatOptions) obey(ctx context.Context, talk *conversation, word string) (ended bool) {
	switch word {
	case "/exit", "/quit":
		return true
	case "/help":
		opts.eprintf("%s", chatHelp)
	case "/new":
		talk.name = newSessionName(time.Now())
		opts.eprintf("New session %s.\n", talk.name)
	case "/sessions":
		if err := opts.printSessions(ctx, talk.name); err != nil {
			opts.errorf("%s", oneLine(err))
		}
	default:
		opts.errorf("there is no command %s; /help lists them, and two slashes send the line as it is", word)
	}
	return false
}
