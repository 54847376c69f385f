package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// streams run at once, pacedRounds times on either side. Each sends a chunk
	// every pacedGap, as models do and faster than they do, so that each chunk is
	// a wake-up, a read and a write of its own.
	streams     = 100
	pacedRounds = 5
	pacedChunks = 200
	pacedGap    = 10 * time.Millisecond
	// pacedStart lies between the beginnings of two streams. If all began at once
	// their chunks would come in bursts, and a server that is slow to begin would
	// get them one by one and pay for more wake-ups.
	pacedStart   = 1100 * time.Microsecond
	ticksPerSec  = 100 // of the CPU times in /proc, on every architecture of Linux
	streamsLimit = 30 * time.Second
)

// relayed is what a chunk costs two servers between the upstream and the client,
// in microseconds of CPU.
type relayed struct {
	Relay  float64 `json:"relay_us"`
	Hermes float64 `json:"hermes_us"`
	// Ratio is the median of what the rounds found.
	Ratio float64 `json:"ratio"`
}

// load is many streams of one API.
type load struct {
	r     request
	lines int64 // line feeds in a chunk
}

func chatLoad() load {
	return load{request{chatPath, fmt.Sprintf(`{"model":"m","stream":true,"messages":[{"role":"user","content":%q}]}`, pacedWish())}, 2}
}

func responsesLoad() load {
	return load{request{responsesPath, fmt.Sprintf(`{"model":"m","stream":true,"input":%q}`, pacedWish())}, 3}
}

func pacedWish() string { return fmt.Sprintf("stream %d 8 %s", pacedChunks, pacedGap) }

// server is a process that streams.
type server struct {
	at  target
	pid int
}

// concurrent measures a load on both servers in turn.
func (l load) concurrent(ctx context.Context, relay, hermes server) (relayed, error) {
	var ours, theirs, ratios []float64
	for range pacedRounds {
		their, err := l.run(ctx, relay)
		if err != nil {
			return relayed{}, err
		}
		our, err := l.run(ctx, hermes)
		if err != nil {
			return relayed{}, err
		}
		theirs, ours, ratios = append(theirs, their), append(ours, our), append(ratios, our/their)
	}
	return relayed{median(theirs), median(ours), median(ratios)}, nil
}

// run returns what a chunk costs while all streams are being sent: from the
// moment when the last one has begun until the first one ends. What a turn costs
// before and after is measured elsewhere.
func (l load) run(ctx context.Context, s server) (float64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, streamsLimit, errors.New("the streams did not end in time"))
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	var feeds, begun, ended atomic.Int64
	var from, to sample
	all, ctx := errgroup.WithContext(ctx)
	for i := range streams {
		all.Go(func() error {
			if err := pause(ctx, time.Duration(i)*pacedStart); err != nil {
				return err
			}
			return l.read(ctx, client, s.at, &feeds, func() (err error) {
				if begun.Add(1) == streams {
					from, err = take(s.pid, &feeds)
				}
				return err
			}, func() (err error) {
				if ended.Add(1) == 1 {
					to, err = take(s.pid, &feeds)
				}
				return err
			})
		})
	}
	if err := all.Wait(); err != nil {
		return 0, err
	}
	chunks := (to.feeds - from.feeds) / l.lines
	if chunks < streams*pacedChunks/2 {
		return 0, fmt.Errorf("%s: the streams ran together for %d chunks only", s.at.url, chunks)
	}
	return float64((to.cpu - from.cpu).Microseconds()) / float64(chunks), nil
}

// sample is how far a server was at a moment.
type sample struct {
	cpu   time.Duration
	feeds int64
}

func take(pid int, feeds *atomic.Int64) (sample, error) {
	cpu, err := cpuTime(pid)
	return sample{cpu, feeds.Load()}, err
}

// read reads one stream and counts its line feeds. Begun is called when the first
// chunk is there, ended when the last one is.
func (l load) read(ctx context.Context, client *http.Client, at target, feeds *atomic.Int64, begun, ended func() error) error {
	response, err := at.do(ctx, client, http.MethodPost, l.r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var tail []byte
	piece := make([]byte, 16<<10)
	count := int64(0)
	for {
		n, err := response.Body.Read(piece)
		found := int64(bytes.Count(piece[:n], []byte{'\n'}))
		before := count
		count += found
		feeds.Add(found)
		// The first two or three events say only that an answer begins.
		if mark := 5 * l.lines; before < mark && count >= mark {
			if err := begun(); err != nil {
				return err
			}
		}
		if mark := pacedChunks * l.lines; before < mark && count >= mark {
			if err := ended(); err != nil {
				return err
			}
		}
		tail = append(tail, piece[:n]...)
		tail = tail[max(0, len(tail)-64):]
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read stream: %w", err)
		}
	}
	if count < pacedChunks*l.lines || !bytes.HasSuffix(tail, []byte("data: [DONE]\n\n")) {
		return fmt.Errorf("%s: a stream of %d lines ended with %q", at.url, count, tail)
	}
	return nil
}

// cpuTime is the time that a process has used so far, in user and kernel mode.
func cpuTime(pid int) (time.Duration, error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	_, rest, _ := strings.Cut(string(content), ") ") // the name before may hold spaces
	fields := strings.Fields(rest)
	const user, system = 11, 12 // counted from the state, which follows the name
	if len(fields) <= system {
		return 0, fmt.Errorf("read CPU time: %q", content)
	}
	var ticks int64
	for _, field := range fields[user : system+1] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksPerSec, nil
}
