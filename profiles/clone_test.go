package profiles

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

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
