package supervisor

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A socket that is bound and has no listener yet is somebody's; one whose process is
// gone is nobody's, whatever lies there.
func TestSocketThatWaitsIsNobodysLeftover(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "abcdefghijkl.orphan")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("unix", path); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("who dials it: %v", err)
	}
	if !bound(path) {
		t.Error("a socket that a process has is taken for a leftover")
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil || bound(path) {
		t.Errorf("a leftover is taken for a socket that a process has (%v)", err)
	}
}
