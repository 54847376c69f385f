// Package supervisor keeps the workers of a home's profiles alive. For each
// profile it takes the lock, binds the listener and starts a worker that
// inherits it; a worker that dies is started again, and its clients meanwhile
// wait in the listener's backlog.
//
// The parts, from the outside in: Supervisor joins what the process does side by
// side; the fleet is one goroutine, the reconcile loop, to which everything that
// happens is posted as a function; it holds a member for each profile, whose
// service is a state machine without any I/O; a process is a running worker, an
// output its log. Client is the other end of the control socket.
package supervisor

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/oklog/run"
	"golang.org/x/sync/errgroup"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor/egress/wire"
	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
)

// egressLog is where the audit of all connections is kept, below the home.
const egressLog = "logs/egress.log"

// socketAll is the name of the control socket and the lease of a gateway for all
// profiles. No profile can be called so.
const socketAll = "all"

// Options are what a Supervisor is made from. Exe and Home are required.
type Options struct {
	// Exe is the absolute path of the binary to start workers from, as: exe worker.
	Exe string
	// Home is whose profiles are served.
	Home profiles.Home
	// Profiles are the profiles to serve; nil means every one that is enabled,
	// those included that are made or enabled later.
	Profiles []profiles.Name
	// Environ is the process environment, as os.Environ gives it. It is looked at
	// for settings of the default profile, and workers get a few variables of it.
	Environ []string
	// Overrides are settings from the command line, key to value.
	Overrides map[string]string
	// Version is shown in the status, Schema is the version of the tables that workers
	// of this program make.
	Version string
	Schema  int
	// Binary is the absolute path of the program that an upgrade begins unless another
	// one is named; empty is Exe.
	Binary string
	// Takeover is what the program before this one left, if the process was another.
	// Home and Profiles have to be those of it.
	Takeover *Takeover
	// Log is told what happens to the workers, with the key profile; nil discards
	// it.
	Log *slog.Logger
	// Out gets the lines that say where a profile is served; nil discards them.
	Out io.Writer
	// Limits is the one way in which limits are held: cgroup2, cgroup1 or watch.
	// Empty takes the best that works.
	Limits string
	// Walls finds out what stands around commands on this machine. Nil is nobody who
	// could say: no profile is kept from being served beside others then.
	Walls func(context.Context) handoff.Walls
	// Rooms puts each worker behind a wall of its own, as far as its settings want that
	// and this machine gives it.
	Rooms bool
	// Signals ask for an end: the first one drains, every further one hurries. Nil
	// means SIGINT, SIGTERM and SIGHUP; what the last one means, hangup says.
	Signals <-chan os.Signal
}

// Supervisor serves profiles of one home.
type Supervisor struct {
	opts     Options
	settings configs.Supervisor // of the home
	token    configs.Secret     // for metrics over TCP
	limits   limits
	parallel int
	children *sandbox.Children
	// freeMemory is how much memory is free, in percent, if that is known.
	freeMemory func() (percent float64, known bool)
	exec       execFunc
}

// New returns a Supervisor with the times that the home's own settings ask for. It
// does nothing before Run is called. A process should
// run one at a time, and start no other children meanwhile: what it finds beside
// its workers, it takes for something that a dead worker left behind.
func New(opts Options) *Supervisor {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Out == nil {
		opts.Out = io.Discard
	}
	opts.Binary = cmp.Or(opts.Binary, opts.Exe)
	home := homeSettings(opts)
	c := home.Config.Supervisor
	parallel := c.SpawnParallel
	if parallel == 0 {
		parallel = 2 * runtime.NumCPU()
	}
	return &Supervisor{
		opts: opts, settings: c, token: home.Env[configs.MetricsToken], limits: limitsOf(c), parallel: parallel,
		children: new(sandbox.Children), freeMemory: freeMemory, exec: syscall.Exec,
	}
}

// homeSettings is what the home says of supervision. What does not validate there
// has its usual value, and is reported where the default profile is served.
func homeSettings(opts Options) configs.Loaded {
	home := profiles.Profile{Name: profiles.Default, Dir: opts.Home.Dir()}
	loaded, _ := home.Load(opts.Environ, opts.Overrides)
	return loaded
}

func limitsOf(c configs.Supervisor) limits {
	return limits{
		start: c.StartTimeout, silence: c.HeartbeatTimeout, dump: c.DumpTimeout,
		hurry: 2 * time.Second, grace: 5 * time.Second, stable: c.BackoffReset, reload: c.ReloadDrain,
		backoff: backoff{base: c.BackoffBase, most: max(c.BackoffCap, c.BackoffBase), random: rand.Float64},
	}
}

// Run serves the profiles until ctx ends or a signal comes, and then until every
// worker has finished its turns, or the drain timeouts have passed, or a second
// signal has come. It returns nil after an orderly end, a *HeldError if another
// gateway serves already, a *NotEnabledError if there is nothing to serve, and
// a *SettingsError if the only profile to serve has settings that do not
// validate. Of several profiles, those that cannot be served are reported and
// tried again, and the others run.
func (s *Supervisor) Run(ctx context.Context) (err error) {
	if err := sandbox.BecomeSubreaper(); err != nil {
		return err
	}
	words := newTeller()
	defer words.close(time.Second)
	f := s.fleet(words) //nolint:contextcheck // rooms are tried once, for all who start workers
	f.survey(ctx, s.opts.Walls)
	f.manager = findManager(s.opts.Environ, s.opts.Log)
	defer f.manager.close()
	if f.waker, err = newWaker(func(m *member) { f.post(m.wake) }); err != nil {
		return err
	}
	defer f.waker.close()
	defer f.closeOutputs()
	held, err := s.hold(ctx, f)
	defer func() { err = errors.Join(err, held.release()) }()
	if err != nil {
		return err
	}
	f.regard()
	if s.opts.Takeover == nil { // or the program before this one has said it
		f.proclaim()
	}
	defer f.maker.confiner.Close()
	defer f.neighbours.release()
	defer f.outside.stop()
	defer f.release() // has nothing left to do unless the next step fails
	signals := s.listen(held.hangup)
	defer signals.stop()
	u := s.upgrader(f, held, words, signals)
	socket := control{
		status:  func(ctx context.Context) (Status, error) { return s.status(ctx, f, u) },
		stop:    func(now bool) { f.post(func() { f.stop(now) }) },
		reload:  f.reload,
		act:     f.act,
		events:  f.events,
		upgrade: u.asked,
		calls:   u.calls,
		log:     f.log,
	}
	server := socket.server()

	// The first part to end is the fleet, and the others follow it. A worker is no
	// part: its death is nothing unusual.
	var group run.Group
	over := make(chan struct{})
	group.Add(func() error { return f.run(context.WithoutCancel(ctx)) }, func(error) {
		f.post(func() { f.stop(true) })
	})
	group.Add(func() error {
		signals.pass(ctx, f, u, over)
		return nil
	}, func(error) { close(over) })
	group.Add(func() error {
		socket.serve(server, held.socket)
		<-over
		return nil
	}, func(error) {
		f.events.close()
		shut(context.WithoutCancel(ctx), server)
	})
	group.Add(func() error {
		scrape{control: socket, address: s.settings.MetricsAddress, token: s.token}.run(context.WithoutCancel(ctx), over)
		return nil
	}, func(error) {})
	err = group.Run()
	f.work.Go(func() { f.spares.empty(true) })
	f.wait()
	return err
}

// name is what the gateway's socket and lease are called.
func (s *Supervisor) name() string {
	if s.opts.Profiles == nil {
		return socketAll
	}
	names := make([]string, len(s.opts.Profiles))
	for i, name := range s.opts.Profiles {
		names[i] = string(name)
	}
	return strings.Join(names, "+")
}

// only returns the one profile that is to be served, or empty if there are
// several.
func (s *Supervisor) only() profiles.Name {
	if len(s.opts.Profiles) == 1 {
		return s.opts.Profiles[0]
	}
	return ""
}

// lease makes this process the only gateway of its name.
func (s *Supervisor) lease(ctx context.Context) (*lease, error) {
	home := s.opts.Home.Dir()
	l, err := takeLease(ctx, filepath.Join(home, runDir, s.name()+".lock"), func() bool {
		return answers(ctx, home, s.name())
	})
	if held, ok := errors.AsType[*HeldError](err); ok {
		held.Profile = s.only()
	}
	return l, err
}

func (s *Supervisor) fleet(words *teller) *fleet {
	all := s.opts.Profiles == nil
	log := words.logger(s.opts.Log)
	w := watcher{home: s.opts.Home, all: all, log: log}
	audit := newOutput("", NewLogFile(s.opts.Home.Dir(), egressLog, s.settings.LogSize, s.settings.LogFiles), int(s.settings.LogRate), func(err error) {
		if err != nil {
			log.Warn("audit of egress cannot be written; the gateway goes on", "error", err)
		}
	})
	return &fleet{
		outside:  newOutside(s.opts.Exe, s.opts.Environ, s.children, log, audit, backoff{base: 100 * time.Millisecond, most: 5 * time.Second, random: rand.Float64}),
		watcher:  w,
		limits:   s.limits,
		logs:     logLimits{size: s.settings.LogSize, files: s.settings.LogFiles, rate: int(s.settings.LogRate)},
		only:     s.opts.Profiles,
		several:  s.only() == "",
		parallel: s.parallel,
		log:      log,
		say:      words.writer(s.opts.Out),
		load: func(p profiles.Profile) settings {
			before := w.fingerprint(p) // a change in between is seen later
			loaded, err := p.Load(s.opts.Environ, s.opts.Overrides)
			return settings{loaded: loaded, err: err, print: before, identity: identityOf(p.Dir)}
		},
		maker:  maker{exe: s.opts.Exe, environ: s.opts.Environ, children: s.children, offline: wire.Supported, rooms: s.rooms(log)},
		spares: &spares{children: s.children, log: log, most: s.settings.Spares},
		scarce: func() string { return scarce(s.settings.MinFreeMemory, s.freeMemory) },
		events: new(events), neighbours: neighboursOf(s.opts.Home.Dir()),
		schema: s.opts.Schema,
		look:   make(chan struct{}, 1),
		inbox:  make(chan func()),
		done:   make(chan struct{}),
	}
}

// gather makes the members of f, and looks whether there is anything to serve.
func (s *Supervisor) gather(ctx context.Context, f *fleet) error {
	list, err := s.profiles()
	if err != nil {
		return err
	}
	first := make([]settings, len(list))
	var reading errgroup.Group
	reading.SetLimit(f.parallel)
	for i, p := range list {
		reading.Go(func() error {
			first[i] = f.load(p)
			return nil
		})
	}
	if err := errors.Join(reading.Wait(), ctx.Err()); err != nil {
		return err
	}
	serve := false
	for i, p := range list {
		if p.Name == "" {
			f.log.Warn("entry is no profile", "dir", p.Dir, "error", p.Err)
			continue
		}
		serve = serve || first[i].err != nil || first[i].loaded.Config.APIServer.Enabled
		f.add(p, &first[i])
	}
	if !serve {
		return &NotEnabledError{Profile: s.only()}
	}
	if err := first[0].err; err != nil && s.only() != "" {
		return &SettingsError{Profile: s.only(), Err: err}
	}
	return nil
}

// lock takes the lock of the only profile that is to be served; those of several
// are taken when they are started.
func (s *Supervisor) lock(f *fleet) error {
	if s.only() == "" {
		return nil
	}
	m := f.members[0]
	if m.lock != nil {
		return nil // it came with an orphan
	}
	lock, err := m.profile.Lock()
	if held, ok := errors.AsType[*profiles.Held](err); ok {
		return &HeldError{Profile: m.profile.Name, PID: held.PID}
	}
	if _, ok := errors.AsType[*profiles.Draining](err); ok {
		return nil // the first start is blocked by it, says so, and waits
	}
	if err != nil {
		return err
	}
	m.lock = lock
	return nil
}

func isDefault(p profiles.Profile) bool { return p.Name == profiles.Default }

// enabledByEnvironment reports whether the process environment says anything of
// whether the default profile is to be served.
func (s *Supervisor) enabledByEnvironment() bool {
	return slices.ContainsFunc(s.opts.Environ, func(variable string) bool {
		value, found := strings.CutPrefix(variable, "API_SERVER_ENABLED=")
		return found && value != ""
	})
}

// profiles returns what is to be served, enabled or not.
func (s *Supervisor) profiles() ([]profiles.Profile, error) {
	if s.opts.Profiles == nil {
		list, err := s.opts.Home.List()
		// A container may be told of the default profile by its environment alone.
		if err == nil && s.enabledByEnvironment() && !slices.ContainsFunc(list, isDefault) {
			var p profiles.Profile
			if p, err = s.opts.Home.Get(profiles.Default); err == nil {
				list = slices.Insert(list, 0, p)
			}
		}
		return list, err
	}
	list := make([]profiles.Profile, len(s.opts.Profiles))
	for i, name := range s.opts.Profiles {
		p, err := s.opts.Home.Get(name)
		if err != nil {
			return nil, err
		}
		list[i] = p
	}
	return list, nil
}
