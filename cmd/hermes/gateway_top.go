package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"hermes/profiles"
)

const (
	// topEvery is the time between two looks.
	topEvery = time.Second
	// topOnce is the same when there is only one picture: what is used in it is
	// shown as a share of a processor.
	topOnce = 500 * time.Millisecond
)

// The sequences that a live picture needs. The other screen keeps what was on the
// terminal before.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	topLeft     = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// arrow matches an arrow and other keys that mean nothing here.
var arrow = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\x1b(\[[0-9;]*[@-~]|O[@-~])`)
})

type gatewayTopOptions struct {
	*app
	once bool
	sort string
	now  func() time.Time
}

func newGatewayTopCmd(a *app) *cobra.Command {
	opts := &gatewayTopOptions{app: a, now: time.Now}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch the workers, once a second",
		Long: `Watch the workers of the running gateways: processor time and memory of each
worker itself, its turns, background jobs and restarts. On a terminal it is
refreshed once a second; the key q ends it, and these sort:

  n name   s state   c processor   m memory   t turns   r restarts   u uptime

In a pipe, and with --once, one picture is printed. Memory counts a page that
several workers share in parts.`,
		Example: `  hermes gateway top
  hermes gateway top --sort memory
  hermes gateway top --once | head`,
		Args: words(),
		RunE: func(cmd *cobra.Command, _ []string) error { return gatewayTopRun(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVar(&opts.once, "once", false, "print one picture")
	cmd.Flags().StringVar(&opts.sort, "sort", "cpu", "sort by `COLUMN`: "+strings.Join(topOrders(), ", "))
	must(cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(topOrders(), cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

func gatewayTopRun(ctx context.Context, opts *gatewayTopOptions) error {
	view := &topView{order: opts.sort, colours: opts.colours(opts.outTTY)}
	if _, known := topKeyOf(opts.sort); !known {
		return usagef("--sort %s is no column; use one of %s", quote(opts.sort), strings.Join(topOrders(), ", "))
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	if err := opts.look(ctx, home, view); err != nil {
		return err
	}
	out, _ := opts.rawOut().(*os.File)
	if opts.once || !opts.outTTY || out == nil || opts.getenv("TERM") == "dumb" {
		return opts.picture(ctx, home, view)
	}
	return opts.live(ctx, home, view, out)
}

// look asks the gateways how they stand.
func (opts *gatewayTopOptions) look(ctx context.Context, home profiles.Home, view *topView) error {
	list, err := opts.gateways(ctx, home)
	if err != nil {
		return err
	}
	view.take(list, opts.now())
	return nil
}

// picture prints one picture.
func (opts *gatewayTopOptions) picture(ctx context.Context, home profiles.Home, view *topView) error {
	if len(view.rows) == 0 && len(view.gateways) == 0 {
		return fmt.Errorf("no gateway is running; start one with: %s", opts.command("gateway", "--all"))
	}
	timer := time.NewTimer(topOnce)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := opts.look(ctx, home, view); err != nil {
		return err
	}
	for _, line := range view.lines(opts.width, 0) {
		opts.printf("%s\n", line)
	}
	return nil
}

// live shows a picture after the other until a person has seen enough.
func (opts *gatewayTopOptions) live(ctx context.Context, home profiles.Home, view *topView, out *os.File) (err error) {
	keys := make(chan byte)
	if in, ok := opts.in.(*os.File); ok && opts.inTTY {
		before, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
		defer func() { err = errors.Join(err, term.Restore(int(in.Fd()), before)) }()
		go readKeys(ctx, in, keys)
	}
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	if _, err := io.WriteString(out, enterScreen); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	defer func() { _, _ = io.WriteString(out, leaveScreen) }() // the terminal may be gone
	ticker := time.NewTicker(topEvery)
	defer ticker.Stop()
	for {
		if err := opts.draw(view, out); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-resized:
		case key := <-keys:
			if key == 'q' || key == 'Q' || key == 3 || key == 4 { // Ctrl-C and Ctrl-D, which are no signals here
				return nil
			}
			view.press(key)
		case <-ticker.C:
			if err := opts.look(ctx, home, view); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

// readKeys passes on what is typed. It ends with the command: a read of a terminal
// cannot be called off.
func readKeys(ctx context.Context, in io.Reader, keys chan<- byte) {
	buf := make([]byte, 16)
	for {
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		for _, key := range arrow().ReplaceAll(buf[:n], nil) {
			select {
			case keys <- key:
			case <-ctx.Done():
				return
			}
		}
	}
}

// draw writes a picture over the one before, without a moment in which there is
// none.
func (opts *gatewayTopOptions) draw(view *topView, out *os.File) error {
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = usualWidth, 24
	}
	var b strings.Builder
	b.WriteString(topLeft)
	for i, line := range view.lines(width, height) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + clearLine)
	}
	b.WriteString(clearBelow)
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write to the terminal: %w", err)
	}
	return nil
}
