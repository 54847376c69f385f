package profiles

import (
	"bufio"
	"errors"
	"fmt"
	"net"
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

func TestExplicitPorts(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	home.free = nil // ask the system
	mustCreate(t, home, CreateOptions{Name: "off", Port: freePort(t), Disabled: true})
	broken := mustCreate(t, home, CreateOptions{Name: "broken", Port: freePort(t)})
	if err := os.WriteFile(broken.Profile.EnvFile(), []byte("???\nAPI_SERVER_PORT=21000\nAPI_SERVER_PORT=abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken.Profile.ConfigFile(), []byte("api_server: {port: 21001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home.dir, "config.yaml"), []byte("model:\n"), 0o600); err != nil {
		t.Fatal(err) // the default profile, on its default port
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	busy := listener.Addr().(*net.TCPAddr).Port
	tests := []struct {
		name string
		port int
		want string
	}{
		{"broken .env", 21000, "belongs to profile broken"},
		{"broken config.yaml", 21001, "belongs to profile broken"},
		{"default profile", 8642, "belongs to profile default"},
		{"another program", busy, "used by another program"},
		{"too large", 65536, "use 1 to 65535"},
		{"negative", -1, "use 1 to 65535"},
	}
	for _, test := range tests {
		_, err := home.Create(t.Context(), CreateOptions{Name: "new", Port: test.port})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), fmt.Sprint(test.port)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if name, used := home.PortUser(21001, ""); !used || name != "broken" {
		t.Errorf("port 21001 is used by %q, %v", name, used)
	}
	if name, used := home.PortUser(21001, "broken"); used {
		t.Errorf("without broken, port 21001 is used by %q", name)
	}
	if list := mustList(t, home); len(list) != 3 || len(hidden(t, home)) > 0 {
		t.Errorf("left: %v, %v", list, hidden(t, home))
	}
}

// freePort finds a port that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestPortsAreGivenInOrderAndStay(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	busy := map[int]bool{firstPort: true, firstPort + 2: true}
	home.free = func(port int) error {
		if busy[port] {
			return syscall.EADDRINUSE
		}
		return nil
	}
	ports := []int{}
	for _, name := range []Name{"a", "b", "c"} {
		ports = append(ports, mustCreate(t, home, CreateOptions{Name: name}).Port)
	}
	if want := []int{firstPort + 1, firstPort + 3, firstPort + 4}; !slices.Equal(ports, want) {
		t.Errorf("got %v, want %v", ports, want)
	}
	if err := home.Remove(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if port := mustCreate(t, home, CreateOptions{Name: "d"}).Port; port != firstPort+3 {
		t.Errorf("the port of the one that left is not given again: %d", port)
	}
	home.free = func(int) error { return syscall.EADDRINUSE }
	if _, err := home.Create(t.Context(), CreateOptions{Name: "e"}); err == nil || !strings.Contains(err.Error(), "no port from 8643 to 32767 is free") {
		t.Errorf("got %v", err)
	}
	home.free = func(int) error { return syscall.EACCES }
	if _, err := home.Create(t.Context(), CreateOptions{Name: "e", Port: 80}); err == nil || !strings.Contains(err.Error(), "above 1023") {
		t.Errorf("got %v", err)
	}
}

func TestClone(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	from := mustCreate(t, home, CreateOptions{Name: "alice"})
	p := from.Profile
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(p.EnvFile(), "API_SERVER_KEY="+from.Key.Reveal()+"\nAPI_SERVER_PORT=8643\nAPI_SERVER_HOST=0.0.0.0\nOPENAI_API_KEY='sk-1'\nGITHUB_TOKEN=ghp\n")
	write(p.ConfigFile(), "# mine\napi_server:\n  port: 8643\n  key: hk-old\n  on_disconnect: detach\nmodel:\n  default: m # why\n")
	write(p.Soul(), "be kind")
	write(filepath.Join(p.Skills(), "a", "SKILL.md"), "skill")
	write(filepath.Join(p.Memories(), "USER.md"), "memory")
	write(p.Database(), "db")
	write(filepath.Join(p.Workspace(), "w"), "work")
	write(filepath.Join(p.Logs(), "l"), "log")
	write(filepath.Join(p.ToolHome(), "h"), "home")
	if err := os.Symlink("/etc/passwd", filepath.Join(p.Skills(), "link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(p.Skills(), "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	created := mustCreate(t, home, CreateOptions{Name: "bob", CloneFrom: "alice"})
	var files []string
	err := filepath.WalkDir(created.Profile.Dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			rel, _ := filepath.Rel(created.Profile.Dir, path)
			files = append(files, rel)
			if info, _ := entry.Info(); info.Mode() != 0o600 {
				t.Errorf("%s has mode %v", rel, info.Mode())
			}
		}
		return err
	})
	if want := ".env SOUL.md config.yaml memories/USER.md skills/a/SKILL.md"; err != nil || strings.Join(files, " ") != want {
		t.Errorf("bob has %v, %v, want %s", files, err, want)
	}
	if len(created.Skipped) != 2 {
		t.Errorf("skipped: %v", created.Skipped)
	}
	yaml, _ := os.ReadFile(created.Profile.ConfigFile())
	if want := "# mine\napi_server:\n  on_disconnect: detach\nmodel:\n  default: m # why\n"; string(yaml) != want {
		t.Errorf("config.yaml is %q, want %q", yaml, want)
	}
	env, _ := os.ReadFile(created.Profile.EnvFile())
	loaded, err := created.Profile.Load(nil, nil)
	server := loaded.Config.APIServer
	if err != nil || server.Port == from.Port || server.Host != "127.0.0.1" || server.Key.Reveal() != created.Key.Reveal() || created.Key.Reveal() == from.Key.Reveal() {
		t.Errorf("the settings are %+v, %v", server, err)
	}
	if loaded.Env["OPENAI_API_KEY"].Reveal() != "sk-1" || strings.Contains(string(env), "ghp") || strings.Contains(string(env), from.Key.Reveal()) {
		t.Errorf(".env is wrong")
	}
	var missing *NotFound
	if _, err := home.Create(t.Context(), CreateOptions{Name: "c", CloneFrom: "nobody"}); !errors.As(err, &missing) {
		t.Errorf("of a missing profile: %v", err)
	}
	if _, err := home.Create(t.Context(), CreateOptions{Name: "c", CloneFrom: Default}); err == nil || !strings.Contains(err.Error(), "hermes setup") {
		t.Errorf("of a fresh home: %v", err)
	}
	write(p.ConfigFile(), "model:\n\tx: y\n")
	if _, err := home.Create(t.Context(), CreateOptions{Name: "c", CloneFrom: "alice"}); err == nil || !strings.Contains(err.Error(), p.ConfigFile()+":2") {
		t.Errorf("of a broken profile: %v", err)
	}
	if _, err := os.Stat(filepath.Join(home.ProfilesDir(), "c")); err == nil || len(hidden(t, home)) > 0 {
		t.Errorf("left: %v", hidden(t, home))
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	first, err := home.Setup(t.Context(), SetupOptions{})
	if err != nil || first.Port != 8642 || first.Key.IsZero() || first.Existed {
		t.Fatalf("got %+v, %v", first, err)
	}
	p := first.Profile
	if p.Dir != home.dir || p.Name != Default || !p.SetUp() {
		t.Errorf("got %+v", p)
	}
	env, _ := os.ReadFile(p.EnvFile())
	again, err := home.Setup(t.Context(), SetupOptions{})
	if err != nil || again.Key.Reveal() != first.Key.Reveal() || again.Port != 8642 || !again.Existed {
		t.Errorf("again: %+v, %v", again, err)
	}
	if now, _ := os.ReadFile(p.EnvFile()); string(now) != string(env) {
		t.Errorf("a second setup changes .env")
	}
	loaded, err := p.Load(nil, nil)
	if s := loaded.Config.APIServer; err != nil || !s.Enabled || s.Port != 8642 || s.ModelName != "hermes-agent" {
		t.Errorf("got %+v, %v", s, err)
	}
	if created := mustCreate(t, home, CreateOptions{Name: "alice"}); created.Port != firstPort {
		t.Errorf("alice has %d", created.Port)
	}
}

func TestSetupCompletesWhatIsThere(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	if err := os.MkdirAll(home.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const env = "# my keys\nOPENAI_API_KEY=sk-1\nAPI_SERVER_PORT=9001 # mine\n"
	if err := os.WriteFile(filepath.Join(home.dir, ".env"), []byte(env), 0o600); err != nil {
		t.Fatal(err)
	}
	created, err := home.Setup(t.Context(), SetupOptions{})
	if err != nil || !created.Existed || created.Port != 9001 || created.Key.IsZero() {
		t.Fatalf("got %+v, %v", created, err)
	}
	now, _ := os.ReadFile(filepath.Join(home.dir, ".env"))
	if !strings.HasPrefix(string(now), env) || !strings.Contains(string(now), "API_SERVER_ENABLED=true") {
		t.Errorf(".env is %q", now)
	}
	if _, err := home.Setup(t.Context(), SetupOptions{Port: 9002}); err != nil {
		t.Error(err)
	}
	if now, _ := os.ReadFile(filepath.Join(home.dir, ".env")); !strings.Contains(string(now), "API_SERVER_PORT=9002 # mine") {
		t.Errorf(".env is %q", now)
	}
}

func TestSetupGoesRoundABusyPort(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	mustCreate(t, home, CreateOptions{Name: "alice", Port: 8642})
	created, err := home.Setup(t.Context(), SetupOptions{NoKey: true})
	if err != nil || created.Port != firstPort || !created.Key.IsZero() {
		t.Errorf("got %+v, %v", created, err)
	}
}
