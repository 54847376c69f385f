package profiles

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What the agent writes is given away, what it must not write stays.
func TestDataAreGivenAway(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give files away")
	}
	home := openHome(t)
	p := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	deep := filepath.Join(p.Workspace(), "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	to := User{UID: 61500, GID: 61500}
	left, err := p.Give(t.Context(), to)
	if err != nil || len(left) > 0 {
		t.Fatalf("left %q, %v", left, err)
	}
	for path, want := range map[string]int{deep: 61500, p.Memories(): 61500, filepath.Dir(p.Database()): 61500, p.Soul(): 0, p.EnvFile(): 0, p.Dir: 0} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != want {
			t.Errorf("%s belongs to %d, not %d", path, got, want)
		}
	}
}
