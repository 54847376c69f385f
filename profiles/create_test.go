package profiles

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
