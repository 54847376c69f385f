package supervisor

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"

	"hermes/supervisor/egress"
)

const (
	// usedSuffix is that of the files, one for each gateway of a home.
	usedSuffix = ".used"
	// keepEvery is how often what was used is written down, while it changes: as much is
	// forgotten when the machine stops.
	keepEvery = 2 * time.Second
	// maxKept bounds what is read of a file: a hundred bytes for each profile.
	maxKept = 1 << 20
)

// kept is the file in which a gateway keeps what its profiles have used of their day,
// so that neither a restart nor a kill gives it back to them. It lies in the home's
// run/, which no worker sees. A profile may be served by another gateway tomorrow, so
// all files there are read. A nil one keeps nothing.
type kept struct {
	path string
	log  *slog.Logger

	writing sync.Mutex // one writes at a time

	mu      sync.Mutex // guards the rest
	timer   *time.Timer
	waiting bool
	closed  bool
}

// usedFile is where this gateway keeps it.
func (s *Supervisor) usedFile() string {
	return filepath.Join(s.opts.Home.Dir(), runDir, s.name()+usedSuffix)
}

func keepIn(path string, log *slog.Logger) *kept { return &kept{path: path, log: log} }

// read is what the gateways of this home have kept.
func (k *kept) read() map[string]egress.Used {
	all := map[string]egress.Used{}
	files, _ := filepath.Glob(filepath.Join(filepath.Dir(k.path), "*"+usedSuffix)) // the pattern is good
	for _, path := range files {
		used, err := readUsed(path)
		if err != nil {
			k.log.Warn("what profiles have used today is not known; it is counted anew", "file", path, "error", err)
			continue
		}
		for profile, now := range used {
			all[profile] = all[profile].Most(now)
		}
	}
	return all
}

func readUsed(path string) (used map[string]egress.Used, err error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxKept))
	if err == nil {
		err = json.Unmarshal(data, &used)
	}
	return used, err
}

// later writes in a while down what is used then.
func (k *kept) later(used func() map[string]egress.Used) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.waiting || k.closed {
		return
	}
	k.waiting = true
	k.timer = time.AfterFunc(keepEvery, func() {
		k.mu.Lock()
		k.waiting = false
		closed := k.closed
		k.mu.Unlock()
		if !closed {
			k.write(used)
		}
	})
}

// write replaces the file. Nobody waits for it, and what was used on earlier days is
// left out.
func (k *kept) write(latest func() map[string]egress.Used) {
	k.writing.Lock()
	defer k.writing.Unlock()
	used := latest()
	if len(used) == 0 {
		return
	}
	var today int64
	for _, now := range used {
		today = max(today, now.Day)
	}
	for profile, now := range used {
		if now.Day < today {
			delete(used, profile)
		}
	}
	data, err := json.Marshal(used)
	if err == nil {
		err = renameio.WriteFile(k.path, data, 0o600, renameio.WithTempDir(filepath.Dir(k.path)), renameio.WithStaticPermissions(0o600))
	}
	if err == nil {
		err = inherit(k.path) // the next gateway may not be root
	}
	if err != nil {
		k.log.Warn("what profiles have used today is not kept; a restart would give it back to them", "file", k.path, "error", err)
	}
}

// close writes down what is used in the end.
func (k *kept) close(used func() map[string]egress.Used) {
	if k == nil {
		return
	}
	k.mu.Lock()
	k.closed = true
	if k.timer != nil {
		k.timer.Stop()
	}
	k.mu.Unlock()
	k.write(used)
}
