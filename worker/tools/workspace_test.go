package tools

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fileCalls are calls of all tools that take a path, PATH in their arguments.
func fileCalls() []struct{ tool, arguments string } {
	return []struct{ tool, arguments string }{
		{"read_file", `{"path":PATH}`},
		{"write_file", `{"path":PATH,"content":"leak"}`},
		{"patch", `{"path":PATH,"old_string":"secret","new_string":"leak"}`},
		{"patch", `{"patch":PATCH_ADD}`},
		{"patch", `{"patch":PATCH_UPDATE}`},
		{"patch", `{"patch":PATCH_DELETE}`},
		{"patch", `{"patch":PATCH_MOVE}`},
		{"search_files", `{"pattern":"secret","path":PATH}`},
		{"search_files", `{"pattern":"*","target":"files","path":PATH}`},
	}
}

// withPath puts a path into the arguments of a call.
func withPath(arguments, path string) string {
	return strings.NewReplacer(
		"PATCH_ADD", quoted("*** Begin Patch\n*** Add File: "+path+"\n+leak\n*** End Patch"),
		"PATCH_UPDATE", quoted("*** Begin Patch\n*** Update File: "+path+"\n-secret\n+leak\n*** End Patch"),
		"PATCH_DELETE", quoted("*** Begin Patch\n*** Delete File: "+path+"\n*** End Patch"),
		"PATCH_MOVE", quoted("*** Begin Patch\n*** Update File: inside.txt\n*** Move to: "+path+"\n*** End Patch"),
		"PATH", quoted(path),
	).Replace(arguments)
}

func TestFileToolsStayInTheWorkspace(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	put(t, outside, "secret.txt", "secret\n")
	put(t, dir, "inside.txt", "secret\n")
	for name, target := range map[string]string{
		"link": outside, "link.txt": filepath.Join(outside, "secret.txt"), "up": "..", "loop": "loop", "rel": "../outside/secret.txt", "dangling": "../outside/new.txt",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	before, beforeIn := tree(t, outside), tree(t, dir)
	for _, path := range []string{
		"../outside/secret.txt", "x/../../outside/secret.txt", outside + "/secret.txt", "/etc/passwd", "~/secret.txt", "~",
		"link/secret.txt", "link.txt", "up/outside/secret.txt", "loop", "rel", "dangling", "link/new.txt", "link/deep/new.txt", dir + "/../outside/secret.txt",
		"..", "./..", "/", "//etc//passwd",
	} {
		for _, c := range fileCalls() {
			arguments := withPath(c.arguments, path)
			result := call(t.Context(), t, set, c.tool, arguments)
			if !result.Failed || strings.Contains(result.Text, "secret\n") {
				t.Errorf("%s %s: failed %v, %s", c.tool, arguments, result.Failed, result.Text)
			}
		}
	}
	if after := tree(t, outside); after != before {
		t.Errorf("outside the workspace something has changed:\n%s", after)
	}
	if after := tree(t, dir); after != beforeIn {
		t.Errorf("in the workspace something has changed:\n%s", after)
	}
}

func TestPathsIntoTheWorkspace(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	if err := os.Mkdir(filepath.Join(base, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(base, "work")); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "work")
	set, err := NewSet(kept(Options{Workspace: dir, Sandbox: box}))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	put(t, dir, "sub/a.txt", "hello\n")
	if err := os.Symlink("sub", filepath.Join(dir, "inner")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"sub/a.txt", "./sub//a.txt", " sub/a.txt\n", "sub/../sub/a.txt", "inner/a.txt",
		dir + "/sub/a.txt", filepath.Join(base, "real", "sub/a.txt"),
	} {
		expect(t, call(t.Context(), t, set, "read_file", args{"path": path}), false, "1|hello\n")
	}
	pwd := call(t.Context(), t, set, "terminal", args{"command": "pwd"}).Text
	expect(t, call(t.Context(), t, set, "read_file", args{"path": strings.TrimSpace(pwd) + "/sub/a.txt"}), false, "1|hello\n")
}

func TestFileToolsRefuseWhatIsNoFile(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "inside.txt", "secret\n")
	put(t, dir, "dir/file", "")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The path of a socket is short, so it is made where it is and then moved.
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join("/tmp", filepath.Base(t.TempDir())+"-tools.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if err := os.Rename(listener.Addr().String(), filepath.Join(dir, "socket")); err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"pipe": "pipe is a named pipe", "socket": "socket is a socket", "dir": "dir is a directory"}
	if err := syscall.Mknod(filepath.Join(dir, "zero"), syscall.S_IFCHR|0o644, 1<<8|5); err == nil {
		names["zero"] = "zero is a device" // only root makes one
	}
	for name, want := range names {
		for _, c := range fileCalls() {
			if name == "dir" && c.tool == "search_files" || name == "dir" && strings.Contains(c.arguments, "PATCH_ADD") {
				continue
			}
			expect(t, call(t.Context(), t, set, c.tool, withPath(c.arguments, name)), true, want)
		}
	}
	expect(t, call(t.Context(), t, set, "read_file", args{"path": "dir/file/x"}), true, "dir/file/x")
	expect(t, call(t.Context(), t, set, "write_file", args{"path": "dir/file/x", "content": ""}), true, "passes through something that is no directory")
	expect(t, call(t.Context(), t, set, "write_file", args{"path": strings.Repeat("x", 300), "content": ""}), true, "too long for a file name")
}

// An attacker swaps a directory for a link to the outside, again and again, while
// the tools read, search and write below it.
func TestSwappedLinksLeakNothing(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	put(t, outside, "a.txt", "secret\n")
	put(t, outside, "b.txt", "secret\n")
	put(t, dir, "good/a.txt", "public\n")
	put(t, dir, "good/b.txt", "public\n")
	put(t, dir, "inside.txt", "harmless\n")
	if err := os.Symlink(outside, filepath.Join(dir, "evil")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, outside)
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	swap := func(good, evil, name string) {
		_ = os.Rename(filepath.Join(dir, name), filepath.Join(dir, good))
		_ = os.Rename(filepath.Join(dir, evil), filepath.Join(dir, name))
		_ = os.Rename(filepath.Join(dir, name), filepath.Join(dir, evil))
		_ = os.Rename(filepath.Join(dir, good), filepath.Join(dir, name))
	}
	go func() {
		defer close(stopped)
		for ctx.Err() == nil {
			swap("parked", "evil", "good")
		}
	}()
	for range 200 {
		for _, c := range []struct {
			tool      string
			arguments args
		}{
			{"read_file", args{"path": "good/a.txt"}},
			{"search_files", args{"pattern": "secret|public"}},
			{"search_files", args{"pattern": "secret|public", "path": "good"}},
			{"write_file", args{"path": "good/b.txt", "content": "leak"}},
			{"write_file", args{"path": "good/new/c.txt", "content": "leak"}},
			{"patch", args{"path": "good/a.txt", "old_string": "secret", "new_string": "leak"}},
		} {
			if result := call(t.Context(), t, set, c.tool, c.arguments); strings.Contains(result.Text, ":secret") || strings.Contains(result.Text, "|secret") {
				t.Fatalf("%s: %s", c.tool, result.Text)
			}
		}
	}
	cancel()
	<-stopped
	if after := tree(t, outside); after != before {
		t.Errorf("outside the workspace something has changed:\n%s", after)
	}
}

func TestCancelledCallsEnd(t *testing.T) {
	t.Parallel()
	set, dir := newSet(t)
	put(t, dir, "inside.txt", "secret\n")
	before := tree(t, dir)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("client has gone")
	cancel(gone)
	for _, c := range fileCalls() {
		path := "inside.txt"
		if strings.Contains(c.arguments, "ADD") || strings.Contains(c.arguments, "MOVE") {
			path = "new.txt"
		}
		arguments := withPath(c.arguments, path)
		result, err := set.Run(ctx, toolCall(c.tool, arguments))
		if !errors.Is(err, gone) {
			t.Errorf("%s %s: %+v, %v", c.tool, arguments, result, err)
		}
	}
	if after := tree(t, dir); after != before {
		t.Errorf("the workspace has changed:\n%s", after)
	}
}
