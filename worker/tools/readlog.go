package tools

import (
	"context"
	"io/fs"
	"sync"
	"time"
)

// ReadLog is what a turn has seen of the files: a change of a file that somebody
// else made after the model read it must not be overwritten unseen.
type ReadLog struct {
	mu   sync.Mutex // guards seen
	seen map[string]version
}

// version tells two states of a file apart.
type version struct {
	size    int64
	changed time.Time
}

// readLogKey is the key of a ReadLog in a context.
type readLogKey struct{}

// WithReadLog returns a context with a fresh ReadLog. A turn calls its tools with
// one such context; without it the file tools overwrite whatever is there.
func WithReadLog(ctx context.Context) context.Context {
	return context.WithValue(ctx, readLogKey{}, &ReadLog{seen: make(map[string]version)})
}

// saw notes the state in which the turn has seen, or left, a file.
func saw(ctx context.Context, path string, info fs.FileInfo) {
	log, ok := ctx.Value(readLogKey{}).(*ReadLog)
	if !ok {
		return
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	log.seen[path] = version{info.Size(), info.ModTime()}
}

// stale reports whether the file has changed since the turn saw it.
func stale(ctx context.Context, path string, info fs.FileInfo) bool {
	log, ok := ctx.Value(readLogKey{}).(*ReadLog)
	if !ok {
		return false
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	seen, ok := log.seen[path]
	return ok && (seen.size != info.Size() || !seen.changed.Equal(info.ModTime()))
}
