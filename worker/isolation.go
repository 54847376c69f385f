package worker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
	"hermes/supervisor/sandbox/wall"
	"hermes/worker/api"
)

// newSandbox is where the commands of the profile run.
func (w *worker) newSandbox() *sandbox.Sandbox {
	opts := sandbox.Options{Reached: w.limits.reached, Thread: w.oneThread()}
	if w.opts.Exe != "" { // it is what builds the wall
		w.wall = newWall(w.opts.Start, w.reach, w.opts.shim, w.tellWall, w.opts.Log)
		opts.Wall = w.wall
	}
	return sandbox.New(opts)
}

// oneThread is the thread that has to start and end commands, and holds them to their
// limits, where this worker has come behind its wall by itself; else nil.
func (w *worker) oneThread() *sandbox.Thread {
	if room := wall.Level(w.opts.Start.Isolation.Room); w.opts.shim != nil || room == "" || room == wall.None {
		return nil
	}
	thread := sandbox.NewThread()
	if w.limits.watcher != nil {
		w.limits.watcher.By(thread.Do)
	}
	return thread
}

// newWall is what stands around the commands of a profile.
func newWall(start handoff.Start, outside reach, shim *wall.Shim, found func(wall.Report), log *slog.Logger) *wall.Wall {
	opts := wall.Options{
		Workspace: start.Paths.Workspace, Home: start.Paths.Home, Skills: start.Paths.Skills,
		Temp:   filepath.Join(filepath.Dir(start.Paths.Database), "tmp"),
		Hidden: start.Isolation.Hidden, Offline: start.Isolation.Network == "none", Shim: shim, Found: found, Log: log,
	}
	if start.Isolation.Network == "proxy" {
		opts.Proxy = outside.proxy()
	}
	if start.Isolation.Tools == "off" {
		opts.Off = "isolation.tools is off"
	}
	return wall.New(opts)
}

// tellWall says in the log, and to the supervisor, what stands around commands, as
// soon as that is known.
func (w *worker) tellWall(report wall.Report) {
	w.level.Store(new(string(report.Level)))
	w.opts.Child.Walls(handoff.Walls{Level: string(report.Level), Why: report.Why})
	if report.Level == wall.Full {
		w.opts.Log.Info("commands run behind walls", "level", string(report.Level))
		return
	}
	w.opts.Log.Warn("commands run with less around them than there could be", "level", string(report.Level), "missing", report.Why, "mend", report.Mend)
}

// tryWall finds out in the background what stands around commands. It is asked when
// the first turn begins: the model thinks longer than it takes, and a worker that is
// only there waits for nothing and holds nothing of it.
func (w *worker) tryWall() {
	w.walling.Do(func() {
		w.adopting.Go(func() { w.wallReport(context.Background()) })
	})
}

// levels are what stands around commands, as soon as somebody has built it, and around
// this worker, for the record.
func (w *worker) levels() string {
	if level := w.level.Load(); level != nil {
		return fmt.Sprintf("commands %s, worker %s", *level, w.roomLevel())
	}
	return "worker " + w.roomLevel()
}

// roomLevel is the level of the wall around this worker.
func (w *worker) roomLevel() string {
	return cmp.Or(w.opts.Start.Isolation.Room, string(wall.None))
}

func (w *worker) wallReport(ctx context.Context) wall.Report {
	if w.wall == nil {
		return wall.Report{Level: wall.None, Why: "this worker does not know its own binary, which builds the walls"}
	}
	return w.wall.Report(ctx)
}

// between is what is said of the wall around this worker.
func (w *worker) between() string {
	if room := w.roomLevel(); room != string(wall.None) {
		return "worker: " + room
	}
	return "worker: NONE, a process without walls around it"
}

// isolation says what commands are kept by. Of walls that are not there it says so,
// that nobody relies on them.
func (w *worker) isolation(ctx context.Context) api.Part {
	report := w.wallReport(ctx)
	part := api.Part{Status: api.StatusOK, Detail: fmt.Sprintf("commands: %s; %s", report.Level, w.between())}
	if report.Level != wall.Full {
		part.Status = api.StatusDegraded
		part.Detail = fmt.Sprintf("commands: %s, because %s; %s", report.Level, report.Why, w.between())
	}
	if w.opts.Start.Isolation.Network == "proxy" && report.Level != wall.Full && report.Level != wall.Namespaces {
		part.Detail += "; so commands have the machine's network, not a proxy"
	}
	return part
}

// Isolation is what would stand around commands on this machine.
type Isolation struct {
	Level string `json:"level"`
	// Why says what is missing, Mend how to get it.
	Why, Mend string
}

// ProbeIsolation builds the wall around nothing, in a directory that it removes
// again.
func ProbeIsolation(ctx context.Context) Isolation {
	dir, err := os.MkdirTemp("", "hermes-wall-")
	if err != nil {
		return Isolation{Level: string(wall.None), Why: err.Error()}
	}
	defer os.RemoveAll(dir)
	opts := wall.Options{Workspace: filepath.Join(dir, "workspace"), Temp: filepath.Join(dir, "tmp"), Hidden: []string{dir}}
	if err := os.Mkdir(opts.Workspace, 0o700); err != nil {
		return Isolation{Level: string(wall.None), Why: err.Error()}
	}
	report := wall.New(opts).Report(ctx)
	return Isolation{Level: string(report.Level), Why: report.Why, Mend: report.Mend}
}
