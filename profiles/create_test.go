package profiles

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"hermes/configs"
)

// openHome opens a home in a fresh directory. Its ports are free unless a
// profile uses them: what else runs on this machine must not matter.
func openHome(t *testing.T) Home {
	t.Helper()
	home, err := Open(filepath.Join(t.TempDir(), "home"))
	if err != nil {
		t.Fatal(err)
	}
	home.free = func(int) error { return nil }
	return home
}

func mustCreate(t *testing.T, home Home, opts CreateOptions) Created {
	t.Helper()
	created, err := home.Create(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func TestFiftyCreatesAtOnceGetFiftyPorts(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	ports := make([]int, 50)
	var wg sync.WaitGroup
	for i := range ports {
		wg.Go(func() {
			// Each with a Home of its own, as processes have.
			mine := Home{dir: home.dir, free: home.free}
			created, err := mine.Create(t.Context(), CreateOptions{Name: Name("p" + string(rune('a'+i/10)) + string(rune('0'+i%10)))})
			if err != nil {
				t.Errorf("create %d: %v", i, err)
				return
			}
			ports[i] = created.Port
		})
	}
	wg.Wait()
	slices.Sort(ports)
	for i, port := range ports {
		if port != firstPort+i {
			t.Fatalf("ports are %v, want %d to %d each once", ports, firstPort, firstPort+49)
		}
	}
	entries, err := os.ReadDir(home.ProfilesDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			t.Errorf("%s is left over", entry.Name())
		}
	}
	for _, p := range mustList(t, home) {
		loaded, err := p.Load(nil, nil)
		if err != nil || !loaded.Config.APIServer.Enabled || len(loaded.Config.APIServer.Key.Reveal()) < 43 {
			t.Errorf("%s: %v, %+v", p.Name, err, loaded.Config.APIServer)
		}
		if weak := configs.WeakKey(loaded.Config.APIServer.Key); weak != "" {
			t.Errorf("%s: the key %s", p.Name, weak)
		}
	}
}

func mustList(t *testing.T, home Home) []Profile {
	t.Helper()
	list, err := home.List()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCreatesOfManyProcessesGetTheirOwnPorts(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	seen := map[string]bool{}
	var wait []func() error
	var outs []*bufio.Reader
	for i := range 8 {
		cmd, out := startChild(t, "create", home, Name(fmt.Sprintf("p%d", i)))
		wait, outs = append(wait, cmd.Wait), append(outs, out)
	}
	for i, out := range outs {
		seen[readLine(t, out)] = true
		if err := wait[i](); err != nil {
			t.Errorf("child %d: %v", i, err)
		}
	}
	if len(seen) != 8 || len(mustList(t, home)) != 8 {
		t.Errorf("the ports are %v", seen)
	}
}

func TestCreatedProfileIsComplete(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	if err := os.MkdirAll(filepath.Dir(home.dir), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd, _ := startChild(t, "create with umask", home, "alice")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	p, err := home.Get("alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{
		home.dir, home.ProfilesDir(), p.Dir, filepath.Dir(p.Database()), p.Memories(), p.Skills(), p.Workspace(), p.ToolHome(), p.Logs(),
	} {
		if info, err := os.Lstat(dir); err != nil || info.Mode() != os.ModeDir|0o700 {
			t.Errorf("%s: %v, %v", dir, info, err)
		}
	}
	for _, file := range []string{p.ConfigFile(), p.EnvFile(), p.Soul()} {
		if info, err := os.Lstat(file); err != nil || info.Mode() != 0o600 || info.Size() == 0 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	loaded, err := p.Load([]string{"API_SERVER_ENABLED=false"}, nil)
	server := loaded.Config.APIServer
	if err != nil || !server.Enabled || server.Port != firstPort || server.Host != "127.0.0.1" || server.ModelName != "alice" || len(loaded.Warnings) > 0 {
		t.Errorf("the settings are %+v, %v, %v", server, err, loaded.Warnings)
	}
	if key := server.Key.Reveal(); !strings.HasPrefix(key, "hk-") || len(key) != 3+43 {
		t.Errorf("the key has %d characters", len(key))
	}
}

func TestCreateOptions(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	created := mustCreate(t, home, CreateOptions{Name: "alice", Port: 9000, Disabled: true, NoKey: true})
	loaded, err := created.Profile.Load(nil, nil)
	if s := loaded.Config.APIServer; err != nil || s.Enabled || s.Port != 9000 || created.Port != 9000 || !s.Key.IsZero() || !created.Key.IsZero() {
		t.Errorf("got %+v, %v", s, err)
	}
	first, second := mustCreate(t, home, CreateOptions{Name: "b"}), mustCreate(t, home, CreateOptions{Name: "c"})
	if first.Key.Reveal() == second.Key.Reveal() || first.Port != firstPort || second.Port != firstPort+1 {
		t.Errorf("got ports %d, %d", first.Port, second.Port)
	}
	var exists *Exists
	var badName *NameError
	if _, err := home.Create(t.Context(), CreateOptions{Name: "alice"}); !errors.As(err, &exists) {
		t.Errorf("a second alice: %v", err)
	}
	for _, name := range []Name{"", Default, "..", "Alice", "test"} {
		if _, err := home.Create(t.Context(), CreateOptions{Name: name}); !errors.As(err, &badName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := os.WriteFile(filepath.Join(home.ProfilesDir(), "dave"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := home.Create(t.Context(), CreateOptions{Name: "dave"}); !errors.As(err, &exists) {
		t.Errorf("in place of a file: %v", err)
	}
	if printed := fmt.Sprintf("%+v", first); strings.Contains(printed, first.Key.Reveal()) {
		t.Errorf("the key is shown: %s", printed)
	}
}

// TestRootLeavesProfilesToTheHomesOwner runs `sudo hermes profile create` in
// somebody's home.
func TestRootLeavesProfilesToTheHomesOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	home := openHome(t)
	if err := os.MkdirAll(home.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home.dir, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	p := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	if err := home.Use("alice"); err != nil {
		t.Fatal(err)
	}
	lock, err := p.Lock()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Release() }()
	err = filepath.WalkDir(home.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Uid != 1234 {
			t.Errorf("%s belongs to %d", path, info.Sys().(*syscall.Stat_t).Uid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
