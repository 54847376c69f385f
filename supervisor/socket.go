package supervisor

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// runDir is the directory below a home that holds what lives as long as a
	// gateway: sockets and locks.
	runDir = "run"
	// socketPath is how long the path of a Unix socket may be: a little less than
	// the 104 bytes of the strictest kernel.
	socketPath = 100
	// dialLimit is how long the other side of a control socket has to answer a
	// connection.
	dialLimit = 2 * time.Second
)

// socketDir is a directory that control sockets may be in.
type socketDir struct {
	path string
	// open says that anybody could have made the directory first.
	open bool
}

// socketDirs returns the directories that a home's control sockets may be in, in
// order of preference. The second is for homes whose path is too long for a
// socket, or whose file system has none.
func socketDirs(home string) []socketDir {
	whole := home
	if resolved, err := filepath.EvalSymlinks(home); err == nil {
		whole = resolved
	}
	sum := sha256.Sum256([]byte(whole))
	fallback := fmt.Sprintf("hermes-%d-%s", os.Getuid(), hex.EncodeToString(sum[:8]))
	return []socketDir{
		{path: filepath.Join(home, runDir)},
		{path: filepath.Join(os.TempDir(), fallback), open: true},
	}
}

// openSocket listens on the control socket called name. The caller holds the
// lease of that name, so whatever else answers there is no gateway that keeps
// the rules.
func openSocket(ctx context.Context, home, name string) (net.Listener, error) {
	var failed error
	for _, dir := range socketDirs(home) {
		path := filepath.Join(dir.path, name+".sock")
		if len(path) > socketPath {
			failed = errors.Join(failed, fmt.Errorf("path %s is longer than %d bytes", path, socketPath))
			continue
		}
		err := dir.make()
		if err == nil {
			var ln net.Listener
			if ln, err = listenUnix(ctx, path); err == nil {
				return ln, nil
			}
		}
		failed = errors.Join(failed, err)
	}
	return nil, fmt.Errorf("open control socket: %w", failed)
}

// listenUnix listens on path, after removing a socket that nobody listens on any
// more.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if conn, err := dialSocket(ctx, path); err == nil {
		return nil, errors.Join(fmt.Errorf("another process answers on %s", path), conn.Close())
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s is not a socket; remove it", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}

func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	return (&net.Dialer{Timeout: dialLimit}).DialContext(ctx, "unix", path)
}

// answers reports whether a gateway called name answers on its control socket.
func answers(ctx context.Context, home, name string) bool {
	for _, dir := range socketDirs(home) {
		if dir.check() != nil {
			continue
		}
		if conn, err := dialSocket(ctx, filepath.Join(dir.path, name+".sock")); err == nil {
			return conn.Close() == nil
		}
	}
	return false
}

// make makes the directory if there is none, and keeps others out of it.
func (d socketDir) make() error {
	if err := os.Mkdir(d.path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := d.check(); err != nil {
		return err
	}
	return os.Chmod(d.path, 0o700) //nolint:gosec // a directory must be entered
}

// check returns an error if the directory may be somebody else's trap.
func (d socketDir) check() error {
	info, err := os.Lstat(d.path)
	if err != nil || !d.open {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok {
		return fmt.Errorf("%s is not a directory", d.path)
	}
	if int(stat.Uid) != os.Getuid() {
		return fmt.Errorf("%s belongs to user %d", d.path, stat.Uid)
	}
	return nil
}

// ownSocket accepts only connections of the same person and of root. Others are
// closed before they are read from.
type ownSocket struct{ net.Listener }

func (s ownSocket) Accept() (net.Conn, error) {
	for {
		conn, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if checkPeer(conn) == nil {
			return conn, nil
		}
		if err := conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return nil, err
		}
	}
}
