package supervisor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hermes/profiles"
	"hermes/supervisor/egress"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
)

// The test binary is also the processes that the tests are about.
// They end by syscall.Exit: os.Exit has the race detector wait for a second first.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 2 && os.Args[1] == handoff.Subcommand:
		syscall.Exit(runWorker())
	case len(os.Args) == 2 && os.Args[1] == egress.Subcommand:
		syscall.Exit(egress.Main())
	case len(os.Args) == 3 && os.Args[1] == "version":
		if err := json.NewEncoder(os.Stdout).Encode(ThisProgram("test", testSchema())); err != nil {
			os.Exit(1)
		}
		syscall.Exit(0)
	case len(os.Args) == 3 && os.Args[1] == "gateway":
		syscall.Exit(runGateway(os.Args[2]))
	case len(os.Args) == 2 && os.Args[1] == "linger":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		<-time.After(time.Hour) // until somebody kills it
	}
	goleak.VerifyTestMain(m)
}

// testSchema is the version of the tables that this program is to know.
func testSchema() int {
	n, _ := strconv.Atoi(os.Getenv("TEST_SCHEMA"))
	return cmp.Or(n, 1)
}

// runGateway is a gateway in a process of its own, for all profiles of home.
func runGateway(home string) int {
	takeover, environ, err := Receive(os.Environ())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	opened, err := profiles.Open(home)
	if err != nil {
		return 1
	}
	overrides := map[string]string{"supervisor.start": "always", "supervisor.backoff_base": "50ms", "supervisor.backoff_cap": "200ms", "supervisor.orphan_grace": "0s"}
	if thorough() { // with the usual delays, or those that the home asks for
		overrides = map[string]string{"supervisor.start": "always"}
	}
	if drain := os.Getenv("TEST_RELOAD_DRAIN"); drain != "" {
		overrides["supervisor.reload_drain"] = drain
	}
	s := New(Options{
		Exe: os.Args[0], Home: opened, Environ: environ, Out: os.Stdout, Takeover: takeover, Schema: testSchema(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Overrides: overrides,
	})
	if err := s.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// scripted is a worker that does what the file "script" in its profile says, and
// else serves these paths:
//
//	/         the profile's name and the worker's pid
//	/crash    ends the worker with code 3
//	/slow     sends "tick" now and then, until the worker is told to hurry
//	/once     sends "begun", and "done" when the file "go" is there
//	/linger   starts a process that leaves the group, and names its pid
//	/born     what the worker was born with
//	/told     the model that it was told of, and what it was told since
//	/job      reports a background job until the file "go" is there
type scripted struct {
	start handoff.Start
	child *handoff.Child
	born  string
	live  atomic.Pointer[handoff.Live]
	jobs  sync.WaitGroup
	fresh sync.Map // connections that have not sent a request
}

func (w *scripted) track(conn net.Conn, state http.ConnState) {
	if state == http.StateNew {
		w.fresh.Store(conn, true)
		return
	}
	w.fresh.Delete(conn)
}

// unread reports whether a request may be under way that has not been read.
func (w *scripted) unread() (some bool) {
	w.fresh.Range(func(any, any) bool {
		some = true
		return false
	})
	return some
}

func runWorker() int {
	born := strings.Join(slices.Concat(os.Args, os.Environ(), descriptors()), "\n")
	child, start, ln, err := handoff.Accept()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if sandbox.BecomeSubreaper() != nil {
		return 1
	}
	w := &scripted{start: start, child: child, born: born}
	live := start.Live()
	w.live.Store(&live)
	child.Apply(func(l handoff.Live) { w.live.Store(&l) })
	script, _ := os.ReadFile(filepath.Join(start.Paths.Profile, "script"))
	if code, end := w.begin(strings.TrimSpace(string(script))); end {
		return code
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if string(script) != "stall" {
		go child.Run(ctx)
	}
	if strings.HasPrefix(string(script), "early ") { // what it says of its walls is read before it is ready
		<-time.After(100 * time.Millisecond)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, "%s %d", start.Profile, os.Getpid())
	})
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, `{"level":"ERROR","msg":"giving up","error":"asked to"}`)
		syscall.Exit(3)
	})
	mux.HandleFunc("/slow", w.slow)
	mux.HandleFunc("/once", w.once)
	mux.HandleFunc("/linger", w.linger)
	mux.HandleFunc("/told", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, "%s %v", start.Model.Model, w.live.Load().MaxConcurrentRuns)
	})
	mux.HandleFunc("/job", func(http.ResponseWriter, *http.Request) { go w.job() })
	mux.HandleFunc("/born", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, w.born) })
	server := &http.Server{Handler: mux, ConnState: w.track}
	accepted := make(chan struct{}) // closed when nothing is accepted any more
	go func() {
		defer close(accepted)
		server.Serve(ln)
	}()
	if child.Ready() != nil {
		return 4
	}
	<-child.Draining()
	if string(script) == "stubborn" {
		<-time.After(time.Hour)
	}
	ctx, cancel = context.WithTimeout(ctx, cmp.Or(child.DrainLimit(), start.API.DrainTimeout))
	defer cancel()
	go func() {
		<-child.Hurry()
		cancel()
	}()
	// In the order of a real worker: Shutdown alone drops requests that it has read.
	ln.Close()
	<-accepted
	child.Closed()
	for w.unread() {
		<-time.After(time.Millisecond)
	}
	if server.Shutdown(ctx) != nil {
		return 5
	}
	select {
	case <-child.Hasty():
	default:
		w.jobs.Wait()
	}
	return 0
}

// begin does what the script says and reports whether the worker ends with it.
func (w *scripted) begin(script string) (code int, end bool) {
	word, rest, _ := strings.Cut(script, " ")
	var swollen [][]byte
	switch word {
	case "exit":
		fmt.Sscan(rest, &code)
		fmt.Fprintln(os.Stderr, "I do not like it here")
		return code, true
	case "mute":
		<-time.After(time.Hour) // never ready
	case "deaf":
		signal.Ignore(syscall.SIGQUIT)
		<-time.After(time.Hour)
	case "flood":
		line := bytes.Repeat([]byte("x"), 1<<20) // no line feed
		for range 50 {
			os.Stdout.Write(line)
		}
		for range 100_000 {
			os.Stderr.WriteString("a line of a worker that has much to say\n")
		}
		os.Stderr.WriteString("\n")
	case "chatter":
		go func() {
			for range time.Tick(5 * time.Millisecond) {
				fmt.Fprintln(os.Stderr, `{"level":"INFO","msg":"still here"}`)
			}
		}()
	case "torrent": // no line feed, without end
		go func() {
			for chunk := bytes.Repeat([]byte("x"), 1<<20); ; {
				os.Stdout.Write(chunk)
			}
		}()
	case "swell": // at most to 200 MB, which is more than it may have
		for range 200 {
			swollen = append(swollen, bytes.Repeat([]byte("x"), 1<<20))
		}
		<-time.After(time.Hour)
		runtime.KeepAlive(swollen)
	case "walls", "early": // are of that level
		w.child.Walls(handoff.Walls{Level: rest, Why: "the script says so"})
	case "count": // how many start at once
		dir := filepath.Join(rest, "starting")
		own := filepath.Join(dir, w.start.Profile)
		os.WriteFile(own, nil, 0o600)
		<-time.After(20 * time.Millisecond)
		entries, _ := os.ReadDir(dir)
		os.WriteFile(filepath.Join(rest, "counted", w.start.Profile), []byte(fmt.Sprint(len(entries))), 0o600)
		os.Remove(own)
	}
	return 0, false
}

// job is a background job.
func (w *scripted) job() {
	w.jobs.Add(1)
	defer w.jobs.Done()
	w.child.Busy(0, 1)
	for {
		if _, err := os.Stat(filepath.Join(w.start.Paths.Profile, "go")); err == nil {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	w.child.Busy(0, 0)
}

func (w *scripted) slow(rw http.ResponseWriter, r *http.Request) {
	w.child.Busy(1, 0)
	defer w.child.Busy(0, 0)
	for {
		fmt.Fprint(rw, "tick ")
		http.NewResponseController(rw).Flush()
		select {
		case <-time.After(10 * time.Millisecond):
		case <-w.child.Hurry():
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (w *scripted) once(rw http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(rw, "begun ")
	http.NewResponseController(rw).Flush()
	for {
		if _, err := os.Stat(filepath.Join(w.start.Paths.Profile, "go")); err == nil {
			fmt.Fprint(rw, "done")
			return
		}
		<-time.After(5 * time.Millisecond)
	}
}

// linger starts a process whose parent dies at once and whose session is its
// own: the group of the worker does not hold it, and it holds the log's pipe.
func (*scripted) linger(rw http.ResponseWriter, _ *http.Request) {
	cmd := exec.Command("setsid", "sh", "-c", `"$0" linger >&2 & echo $!`, os.Args[0])
	cmd.Stderr = os.Stderr
	pid, err := cmd.Output()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusInternalServerError)
		return
	}
	rw.Write(pid)
}

// descriptors lists what is open, but for the list itself and what the Go
// runtime opens: to wait for the others, and to know its share of the processors.
func descriptors() []string {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	var open []string
	for _, entry := range entries {
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil || strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/sys/fs/cgroup/") ||
			strings.HasSuffix(target, "/fd") {
			continue
		}
		open = append(open, "fd="+entry.Name())
	}
	return open
}
