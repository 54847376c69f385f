package mcp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
)

// maxCache bounds the file, in bytes.
const maxCache = 64 << 20

// cacheFile is the file that keeps the tools.
type cacheFile struct {
	Version int                   `json:"version"`
	Servers map[string]cacheEntry `json:"servers"`
}

// cacheVersion is the form of the file. Another one is not read.
const cacheVersion = 1

// cacheEntry is what is known of a server.
type cacheEntry struct {
	// Fingerprint tells whether it is still the same server.
	Fingerprint string    `json:"fingerprint"`
	Asked       time.Time `json:"asked"`
	Tools       []Tool    `json:"tools"`
}

// fingerprint is the same for settings that lead to the same server. Values of
// variables and headers do not count: keys are renewed.
func fingerprint(c Config) string {
	if c.Identity != "" {
		return c.Identity
	}
	parts := slices.Concat([]string{c.Command, c.Dir, c.URL}, c.Args, []string{"env"}, slices.Sorted(maps.Keys(c.Env)),
		[]string{"headers"}, slices.Sorted(maps.Keys(c.Headers)))
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// readCache reads the file. One that cannot be read is as good as none: the
// servers are asked again.
func readCache(path string, log *slog.Logger) map[string]cacheEntry {
	if path == "" {
		return nil
	}
	// It lies where a worker may write, and root may look: no link, and no pipe.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			log.Warn("known tools of MCP servers cannot be read", "error", err)
		}
		return nil
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxCache))
	var kept cacheFile
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil || kept.Version != cacheVersion {
		log.Warn("known tools of MCP servers cannot be read", "error", err)
		return nil
	}
	for name, entry := range kept.Servers {
		entry.Tools = slices.DeleteFunc(entry.Tools, func(t Tool) bool { return t.Remote == "" || !json.Valid(t.Schema) })
		kept.Servers[name] = entry
	}
	return kept.Servers
}

// save writes what is known of the servers into the file.
func (s *Servers) save() {
	if s.opts.CachePath == "" {
		return
	}
	s.saving.Lock() // from the look at the servers to the end of the write, or an older state could win
	defer s.saving.Unlock()
	file := cacheFile{Version: cacheVersion, Servers: map[string]cacheEntry{}}
	for _, server := range s.list {
		server.mu.Lock()
		if server.known {
			file.Servers[server.config.Name] = cacheEntry{fingerprint(server.config), server.asked, server.tools}
		}
		server.mu.Unlock()
	}
	data, err := json.Marshal(file)
	if err == nil {
		err = renameio.WriteFile(s.opts.CachePath, data, 0o600)
	}
	if err != nil {
		s.opts.Log.Warn("known tools of MCP servers are not kept", "error", err)
	}
}
