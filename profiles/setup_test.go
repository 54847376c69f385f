package profiles

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
