package supervisor

import (
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor/sandbox"
)

// Reach is a way to the outside for commands of a profile that no worker runs, such as
// an MCP server that is tried: an egress process of its own.
type Reach struct {
	// File is the end of whoever runs the commands.
	File *os.File

	way     *way
	outside *outside
}

// OpenReach starts that process, of this program. It returns nil where commands have no
// need of it: where there is none, or their network is no proxy. The caller closes it.
func OpenReach(exe string, environ []string, p profiles.Profile, loaded configs.Loaded) (*Reach, error) {
	if loaded.Config.Terminal.Network != "proxy" {
		return nil, nil //nolint:nilnil // a nil Reach is none
	}
	audit := newOutput("", discarded{io.Discard}, int(loaded.Config.Supervisor.LogRate), func(error) {}) // no gateway, no audit
	o := newOutside(exe, environ, new(sandbox.Children), slog.New(slog.DiscardHandler), audit, backoff{base: 100 * time.Millisecond, most: time.Second, random: rand.Float64})
	if o == nil {
		return nil, nil //nolint:nilnil // see above
	}
	w, file, err := o.open(string(p.Name), newTable(loaded))
	if err != nil {
		o.stop()
		return nil, err
	}
	return &Reach{File: file, way: w, outside: o}, nil
}

// Close ends it, and returns when the process has ended.
func (r *Reach) Close() error {
	if r == nil {
		return nil
	}
	r.way.close()
	r.outside.stop()
	if err := r.File.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// discarded is a log that nobody keeps.
type discarded struct{ io.Writer }

func (discarded) Close() error { return nil }
