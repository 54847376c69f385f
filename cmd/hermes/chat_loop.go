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
var chatCommand = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^/[a-z]+$`)
})

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
		reading, done := interruptible(ctx, interrupts)
		message, err := editor.read(reading)
		if done(); errors.Is(err, context.Canceled) {
			err = errInterrupted
		}
		switch {
		case errors.Is(err, io.EOF):
			opts.sayHowToGoOn(talk)
			return nil
		case errors.Is(err, errInterrupted) || ctx.Err() != nil:
			return silent(exitInterrupted)
		case err != nil:
			return err
		case message == "":
			continue
		}
		if word, _, _ := strings.Cut(message, " "); chatCommand().MatchString(word) {
			if ended := opts.obey(ctx, talk, word); ended {
				opts.sayHowToGoOn(talk)
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
	ctx, done := interruptible(ctx, interrupts)
	err := talk.say(ctx, message)
	done()
	switch {
	case errors.Is(err, context.Canceled):
		opts.eprintf("%s\n", dim.paint(opts.colours(opts.errTTY), "stopped"))
	case err != nil:
		opts.errorf("%s", oneLine(err))
	}
}

// sayHowToGoOn tells a person who leaves how to come back.
func (opts *chatOptions) sayHowToGoOn(talk *conversation) {
	if talk.answered {
		opts.eprintf("To go on: %s\n", opts.commandFor(talk.profile.Name, "chat", "--session", talk.name))
	}
}

// interruptible is a context that ends with the next Ctrl-C. The function done
// gives it back.
func interruptible(ctx context.Context, interrupts <-chan os.Signal) (_ context.Context, done func()) {
	select {
	case <-interrupts: // that came too late for what was before
	default:
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-interrupts:
			cancel()
		case <-ctx.Done():
		}
	})
	return ctx, func() {
		cancel()
		wg.Wait()
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
		talk.name, talk.answered = newSessionName(time.Now()), false
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
