package wall

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside"
)

const (
	// probeTimeout bounds a try of the wall.
	probeTimeout = 10 * time.Second
	// keptTemp is how long files stay in /tmp that nobody changes.
	keptTemp = 7 * 24 * time.Hour
)

// leaves reports whether a layer is to be left out.
func (w *Wall) leaves(l Layer) bool { return slices.Contains(w.opts.Without, l) }

// probe finds out how much of the wall stands, by building it.
func (w *Wall) probe() found {
	if w.opts.Off != "" {
		return found{Report: Report{Level: None, Why: w.opts.Off, Mend: "set isolation.tools to auto"}}
	}
	w.uid, w.gid, w.asRoot = os.Geteuid(), os.Getegid(), os.Geteuid() == 0
	if err := w.prepare(); err != nil {
		return found{Report: Report{Level: None, Why: "the places of the profile are not as they should be: " + err.Error()}}
	}
	f := found{layers: inside.Layers{
		Namespaces: true, Mounts: !w.leaves(LayerMounts), Processes: !w.leaves(LayerProcesses),
		Seccomp: inside.SeccompArch != 0 && !w.leaves(LayerSeccomp),
		Drop:    !w.leaves(LayerCapabilities), Close: !w.leaves(LayerDescriptors), Limits: !w.leaves(LayerLimits),
	}}
	if !w.leaves(LayerLandlock) {
		f.layers.Landlock = inside.LandlockABI()
	}
	if w.asRoot && !w.leaves(LayerMasks) {
		f.hidden = secrets("/etc")
	}
	refused := errors.New("the kernel was told to refuse it")
	if !w.leaves(LayerNamespaces) {
		refused = w.try(f)
	}
	if refused != nil && w.opts.Shim != nil { // it builds the whole of it or nothing
		return found{Report: Report{Level: None, Why: "the wall around commands cannot be built: " + refused.Error(), Mend: mendNamespaces}}
	}
	if refused != nil {
		f.layers.Namespaces, f.layers.Mounts, f.layers.Processes = false, false, false
		if err := w.try(f); err != nil {
			return found{Report: Report{Level: None, Why: "not even a smaller wall can be built: " + err.Error(), Mend: mendNamespaces}}
		}
	}
	f.Report = report(f.layers, refused)
	return f
}

const (
	mendNamespaces = "allow user namespaces: under Ubuntu with an AppArmor profile for hermes that holds `userns,` or `sysctl kernel.apparmor_restrict_unprivileged_userns=0`, " +
		"in Docker with `--security-opt seccomp=unconfined --security-opt systempaths=unconfined`, elsewhere with `sysctl user.max_user_namespaces=10000`"
	mendLandlock = "use Linux 6.12 or later with `landlock` in its list of security modules (the boot parameter lsm=)"
)

// report is what is said of those layers.
func report(l inside.Layers, refused error) Report {
	var why, mend []string
	if refused != nil {
		why, mend = append(why, "namespaces are refused ("+refused.Error()+")"), append(mend, mendNamespaces)
	}
	switch {
	case l.Landlock == 0:
		why, mend = append(why, "the kernel has no Landlock"), append(mend, mendLandlock)
	case l.Landlock < inside.SignalABI && !l.Namespaces:
		why, mend = append(why, "its Landlock does not keep commands from ending other processes"), append(mend, mendLandlock)
	}
	if !l.Seccomp {
		why = append(why, "the filter of system calls is not known for this processor")
	}
	r := Report{Level: None, Why: strings.Join(why, ", "), Mend: strings.Join(mend, "; ")}
	switch {
	case l.Namespaces && l.Landlock > 0 && l.Seccomp:
		r.Level = Full
	case l.Namespaces && l.Seccomp:
		r.Level = Namespaces
	case l.Landlock > 0 && l.Seccomp, l.Namespaces:
		r.Level = Reduced
	case l.Seccomp, l.Landlock > 0:
		r.Level = Weak
	}
	return r
}

// prepare makes the directory that becomes /tmp and finds out as whom commands run:
// as whoever owns the workspace, if root starts them.
func (w *Wall) prepare() error {
	info, err := os.Stat(w.opts.Workspace)
	if err != nil {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && w.asRoot {
		w.uid, w.gid = int(owner.Uid), int(owner.Gid)
	}
	err = os.Mkdir(w.opts.Temp, 0o700)
	switch {
	case errors.Is(err, fs.ErrExist):
		// What lies there is old, or another worker of the profile still uses it.
		return w.tidy()
	case err != nil:
		return err
	case w.asRoot:
		return os.Lchown(w.opts.Temp, w.uid, w.gid)
	}
	return nil
}

// tidy removes what nobody has changed for long from /tmp.
func (w *Wall) tidy() error {
	root, err := os.OpenRoot(w.opts.Temp)
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > keptTemp {
			_ = root.RemoveAll(entry.Name()) // it is tried again next time
		}
	}
	return nil
}

// Try builds the wall around nothing. The error says at which step that fails.
func (w *Wall) Try() error { return w.try(w.find()) }

func (w *Wall) try(f found) error {
	ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/")
	cmd.Dir = w.opts.Workspace
	guard, err := w.guard(cmd, Subject{}, f, true)
	if err != nil {
		return err
	}
	defer guard.Close()
	if guard.Remote() {
		return guard.tryRemote(ctx, cmd.Dir)
	}
	if err := cmd.Start(); err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("clone: %w", errors.Unwrap(err))
		}
		return err
	}
	told := guard.Started(ctx)
	ended := cmd.Wait()
	if told == nil && ended != nil {
		told = ended
	}
	return told
}

// tryRemote is the rest of try where a shim starts the stage.
func (g *Guard) tryRemote(ctx context.Context, dir string) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	stage, err := g.Fork(dir, [3]*os.File{null, null, null}, nil)
	if err != nil {
		return err
	}
	defer stage.Close()
	told := g.Started(ctx)
	if told != nil {
		_ = stage.Signal(syscall.SIGKILL)
	}
	stage.Await()
	return told
}

// plan is what the stage of a command is told.
func (w *Wall) plan(s Subject, f found) (inside.Plan, error) {
	p := inside.Plan{Layers: f.layers, Terminal: s.Terminal, Offline: w.opts.Offline && !s.Online, Temp: w.opts.Temp}
	p.Proxy = w.opts.Proxy != nil && !w.opts.Offline && !s.Online && f.layers.Namespaces && f.layers.Processes
	own := []struct {
		path     string
		writable bool
	}{{w.opts.Skills, false}, {w.opts.Workspace, true}, {w.opts.Home, true}}
	var reads []inside.Place
	for _, o := range own {
		if o.path == "" {
			continue
		}
		places, err := placesOf(o.path)
		switch {
		case errors.Is(err, fs.ErrNotExist) && !o.writable:
		case err != nil:
			return inside.Plan{}, err
		case o.writable:
			p.Writes = append(p.Writes, places...)
		default:
			reads = append(reads, places...)
		}
	}
	target, err := filepath.EvalSymlinks(w.opts.Temp)
	if err != nil {
		return inside.Plan{}, err
	}
	p.Temp = target
	p.System, p.Reads = system(), append(w.extra(s.Reads), reads...)
	p.Writes = append(w.extra(s.Writes), p.Writes...)
	if w.leaves(LayerMasks) {
		return p, nil
	}
	p.Masks = slices.Clone(f.hidden)
	for _, hidden := range w.opts.Hidden {
		if target, err := filepath.EvalSymlinks(hidden); err == nil && inside.Clean(target) {
			p.Masks = append(p.Masks, target)
		}
	}
	if !p.Layers.Mounts {
		open(&p)
	}
	return p, nil
}

// open puts what is around the masks into the plan, for a stage that cannot hide a
// part of what it shows.
func open(p *inside.Plan) {
	var seen []inside.Place
	for _, at := range p.System {
		for _, path := range without(at.Path, p.Masks) {
			seen = append(seen, inside.Place{Source: path, Path: path})
		}
	}
	p.System = seen
}
