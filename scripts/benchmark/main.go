// Command benchmark measures what hermes costs, with real processes on loopback:
// the binary it is given, a gateway of it, and a fake upstream in a process of
// its own. Figures of one run are made side by side, because the machine that
// runs them changes more from run to run than hermes does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// limit bounds the whole run.
const limit = 280 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// options are the command line.
type options struct {
	hermes  string
	store   string
	worker  string
	bare    string
	wake    bool
	json    bool
	workers int
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if known, err := serveChild(ctx, args, out); known {
		return err
	}
	var opts options
	flags := flag.NewFlagSet("benchmark", flag.ContinueOnError)
	flags.StringVar(&opts.hermes, "hermes", "bin/hermes", "the binary to measure")
	flags.StringVar(&opts.store, "store-test", "", "the compiled tests of worker/store, whose benchmark is run; without it there is no such figure")
	flags.StringVar(&opts.worker, "worker-test", "", "the compiled tests of worker, as the one before")
	flags.StringVar(&opts.bare, "bare", "", "the least server there is, to compare starts and memory with")
	flags.BoolVar(&opts.wake, "wake", false, "measure only what is compared with the least server")
	flags.BoolVar(&opts.json, "json", false, "print JSON")
	flags.IntVar(&opts.workers, "workers", 50, "idle workers whose memory is measured")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || opts.workers < 2 {
		return errors.New("usage: benchmark [--json] [--hermes FILE] [--store-test FILE] [--worker-test FILE] [--bare FILE [--wake]] [--workers N]")
	}
	report, err := measure(ctx, opts, func(text string) { fmt.Fprintln(progress, "..", text) })
	if err != nil {
		return err
	}
	if opts.json {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	return report.print(out)
}

// measure does everything, one after the other, so that no figure disturbs
// another.
func measure(ctx context.Context, opts options, say func(string)) (r report, err error) {
	r.Machine = machine()
	exe, err := filepath.Abs(opts.hermes)
	if err != nil {
		return r, err
	}
	dir, err := os.MkdirTemp("", "hermes-bench-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	up, err := startChild(ctx, upstreamWord)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, up.stop()) }()
	h := hermes{exe: exe, home: filepath.Join(dir, "home"), upstream: up.url}
	if err := h.setUp(ctx); err != nil {
		return r, err
	}

	if opts.bare != "" {
		say(fmt.Sprintf("%d profiles that sleep", sleepers))
		r.Sleepers = sleepers
		other := hermes{exe: exe, home: filepath.Join(dir, "sleepers"), upstream: up.url}
		if err := other.setUp(ctx); err != nil {
			return r, err
		}
		if r.Woken, err = measureWake(ctx, &other, opts.bare); err != nil || opts.wake {
			return r, err
		}
	}

	say("one worker")
	if err := h.create(ctx, 1); err != nil {
		return r, err
	}
	if _, err := h.run(ctx, "-p", h.names[0], "config", "set", "api_server.max_concurrent_runs", strconv.Itoa(streams)); err != nil {
		return r, err
	}
	if err := measureOne(ctx, &h, &r, say); err != nil {
		return r, err
	}
	say("worker start")
	if r.Start, err = measureStarts(ctx, &h); err != nil {
		return r, err
	}
	if opts.store != "" {
		say("store")
		if r.Store, err = measureStore(ctx, opts.store); err != nil {
			return r, err
		}
	}
	if opts.worker != "" {
		say("tool calls and skills")
		if r.InProcess, err = measureInProcess(ctx, opts.worker); err != nil {
			return r, err
		}
	}
	say(fmt.Sprintf("%d workers", opts.workers))
	if err := h.create(ctx, opts.workers); err != nil {
		return r, err
	}
	r.Workers = opts.workers
	err = h.serve(ctx, func(g *gateway) error {
		r.Many, err = g.settledMemory(ctx)
		return err
	})
	return r, err
}

// measureOne does what needs a gateway with one worker.
func measureOne(ctx context.Context, h *hermes, r *report, say func(string)) error {
	return h.serve(ctx, func(g *gateway) (err error) {
		if r.One, err = g.settledMemory(ctx); err != nil {
			return err
		}
		p, err := h.pair(ctx, h.names[0])
		if err != nil {
			return err
		}
		defer p.close()
		say("requests")
		if r.Request, err = p.requests(ctx, hello(false), false); err != nil {
			return err
		}
		say("a long stream")
		if r.Chunk, err = p.long(ctx); err != nil {
			return err
		}
		say("memory after use")
		// A worker gives memory back some seconds after its last turn.
		if err := pause(ctx, 10*time.Second); err != nil {
			return err
		}
		if r.Used, err = g.memory(ctx); err != nil {
			return err
		}
		if err := p.measureFirsts(ctx, r, say); err != nil {
			return err
		}
		return p.measureStreams(ctx, server{p.hermes, g.workers[0]}, r, say)
	})
}

// measureFirsts does what is left of requests one after the other: how soon
// their answers begin, and what a stored chain before them costs.
func (p *pair) measureFirsts(ctx context.Context, r *report, say func(string)) (err error) {
	say("first text of a stream")
	if r.First, err = p.requests(ctx, hello(true), true); err != nil {
		return err
	}
	say("a chain of responses")
	for _, stream := range []bool{false, true} {
		q, err := p.chain(ctx, stream)
		if err != nil {
			return err
		}
		took, err := p.requests(ctx, q, stream)
		if err != nil {
			return err
		}
		if stream {
			r.ChainFirst = took
		} else {
			r.Chain = took
		}
	}
	return nil
}

// measureStreams runs many streams at once, through hermes and the relay.
func (p *pair) measureStreams(ctx context.Context, hermes server, r *report, say func(string)) (err error) {
	other, err := startChild(ctx, relayWord, p.direct.url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.stop()) }()
	relay := server{target{url: other.url}, other.cmd.Process.Pid}
	r.Streams = streams
	say(fmt.Sprintf("%d streams, chat", streams))
	if r.ChatStreams, err = chatLoad().concurrent(ctx, relay, hermes); err != nil {
		return err
	}
	say(fmt.Sprintf("%d streams, responses", streams))
	r.ResponseStreams, err = responsesLoad().concurrent(ctx, relay, hermes)
	return err
}

// machine says what the figures were made on.
func machine() string {
	return fmt.Sprintf("%s/%s, %d CPUs, %s, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpu(), runtime.Version())
}

// pause waits.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
