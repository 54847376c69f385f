package profiles

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"hermes/profiles/archive"
)

// copyFileAs stands in for the database's own backup, which the store has.
func copyFileAs(_ context.Context, from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

func sound(context.Context, string) error { return nil }

// carried makes a profile with something in every place, and its archive.
func carried(t *testing.T, home Home, opts ExportOptions) (Created, []byte, Exported) {
	t.Helper()
	from := mustCreate(t, home, CreateOptions{Name: "alice"})
	p := from.Profile
	env, _ := os.ReadFile(p.EnvFile())
	for at, text := range map[string]string{
		"config.yaml":           "# mine\napi_server:\n  on_disconnect: detach\n",
		".env":                  string(env) + "API_SERVER_HOST=0.0.0.0\nOPENAI_API_KEY=sk-private-1\nODD_SETTING=sk-private-2\n",
		"SOUL.md":               "be kind",
		"data/state.db":         "conversations",
		"data/state.db-wal":     "log of the database",
		"memories/USER.md":      "likes trains",
		"skills/a/SKILL.md":     "skill",
		"workspace/run.sh":      "ls",
		"workspace/deep/a/b.md": "deep",
		"logs/worker.log":       "log",
		"home/.cache/x":         "cache",
		"gateway.lock":          "1\n",
	} {
		at = filepath.Join(p.Dir, at)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for at, target := range map[string]string{"workspace/here": "deep/a", "workspace/away": "/etc/passwd", "skills/link": "a"} {
		if err := os.Symlink(target, filepath.Join(p.Dir, at)); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	opts.Backup = copyFileAs
	exported, err := p.Export(t.Context(), &b, opts)
	if err != nil {
		t.Fatal(err)
	}
	return from, b.Bytes(), exported
}

func TestExportHoldsTheProfileAndNoSecrets(t *testing.T) {
	t.Parallel()
	home, other := openHome(t), openHome(t)
	from, data, exported := carried(t, home, ExportOptions{})
	slices.Sort(exported.Skipped)
	if len(exported.Skipped) != 2 || !strings.Contains(exported.Skipped[0], "skills/link: it is no plain file") || !strings.Contains(exported.Skipped[1], "workspace/away: it leads out") {
		t.Errorf("skipped: %q", exported.Skipped)
	}
	created, err := other.Import(t.Context(), bytes.NewReader(data), ImportOptions{Check: sound})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	var all strings.Builder
	_ = filepath.WalkDir(created.Profile.Dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			rel, _ := filepath.Rel(created.Profile.Dir, path)
			files = append(files, rel)
			text, _ := os.ReadFile(path)
			all.Write(text)
		}
		return err
	})
	want := ".env SOUL.md config.yaml data/state.db memories/USER.md skills/a/SKILL.md workspace/deep/a/b.md workspace/here workspace/run.sh"
	if got := strings.Join(files, " "); got != want {
		t.Errorf("the profile has\n%s, want\n%s", got, want)
	}
	for _, secret := range []string{"sk-private", from.Key.Reveal()} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("the archive holds %q", secret)
		}
	}
	loaded, err := created.Profile.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	server := loaded.Config.APIServer
	if server.Host != "0.0.0.0" || !server.Enabled || server.OnDisconnect != "detach" || server.Key.Reveal() != created.Key.Reveal() || created.Key.IsZero() {
		t.Errorf("the settings are %+v", server)
	}
	if again, _, err := exportAgain(t, from.Profile); err != nil || !bytes.Equal(again, data) {
		t.Errorf("the same state makes another archive: %v", err)
	}
	if left := hidden(t, other); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func exportAgain(t *testing.T, p Profile) ([]byte, Exported, error) {
	t.Helper()
	var b bytes.Buffer
	exported, err := p.Export(t.Context(), &b, ExportOptions{Backup: copyFileAs})
	return b.Bytes(), exported, err
}

func TestImportWithSecretsIsAMove(t *testing.T) {
	t.Parallel()
	home, other := openHome(t), openHome(t)
	from, data, _ := carried(t, home, ExportOptions{Secrets: true, NoWorkspace: true})
	settings := func(created Created) (port int, key, provider string) {
		t.Helper()
		loaded, err := created.Profile.Load(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return loaded.Config.APIServer.Port, loaded.Config.APIServer.Key.Reveal(), loaded.Env["OPENAI_API_KEY"].Reveal()
	}
	moved, err := other.Import(t.Context(), bytes.NewReader(data), ImportOptions{Check: sound})
	if err != nil {
		t.Fatal(err)
	}
	if port, key, provider := settings(moved); port != from.Port || key != from.Key.Reveal() || provider != "sk-private-1" || !moved.Key.IsZero() {
		t.Errorf("a move has the port %d, shows %v", port, moved.Key.IsZero())
	}
	if entries, _ := os.ReadDir(moved.Profile.Workspace()); len(entries) != 0 {
		t.Errorf("the workspace has %v", entries)
	}
	// Beside the original the port is not free.
	beside, err := home.Import(t.Context(), bytes.NewReader(data), ImportOptions{Name: "bob", Check: sound})
	if err != nil {
		t.Fatal(err)
	}
	if port, key, provider := settings(beside); port == from.Port || key == from.Key.Reveal() || key != beside.Key.Reveal() || provider != "sk-private-1" {
		t.Errorf("a copy has the port %d", port)
	}
}

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	_, data, _ := carried(t, home, ExportOptions{})
	bad := func(config string) []byte {
		var b bytes.Buffer
		w, err := archive.NewWriter(&b, archive.Manifest{Name: "bad"})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.File(archive.Config, int64(len(config)), false, time.Time{}, strings.NewReader(config)), w.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var b bytes.Buffer
	w, err := archive.NewWriter(&b, archive.Manifest{Name: "default"})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	cut := iotest.TimeoutReader(bytes.NewReader(data))
	damaged := errors.New("the database is damaged")
	for name, test := range map[string]struct {
		from io.Reader
		opts ImportOptions
		want string
	}{
		"existing":         {bytes.NewReader(data), ImportOptions{}, "exists already"},
		"bad name":         {bytes.NewReader(data), ImportOptions{Name: "../x"}, "no name for a profile"},
		"default":          {&b, ImportOptions{}, "choose one with --name"},
		"taken port":       {bytes.NewReader(data), ImportOptions{Name: "bob", Port: firstPort}, "belongs to profile alice"},
		"bad database":     {bytes.NewReader(data), ImportOptions{Name: "bob", Check: func(context.Context, string) error { return damaged }}, "damaged"},
		"bad settings":     {bytes.NewReader(bad("agent:\n  max_iterations: many\n")), ImportOptions{}, "config.yaml:2: agent.max_iterations"},
		"unknown settings": {bytes.NewReader(bad("future: 1\n")), ImportOptions{}, "config.yaml:1: unknown key"},
		"read error":       {cut, ImportOptions{Name: "bob"}, "timeout"},
		"no archive":       {strings.NewReader("x"), ImportOptions{}, "no archive of a profile"},
	} {
		if test.opts.Check == nil {
			test.opts.Check = sound
		}
		_, err := home.Import(t.Context(), test.from, test.opts)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), importPrefix) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
	if list := mustList(t, home); len(list) != 1 || len(hidden(t, home)) > 0 {
		t.Errorf("there are %v and %v", list, hidden(t, home))
	}
}

// An import reads from whom it likes for as long as it takes; meanwhile other
// profiles are made, and nobody takes its directory for a dead one.
func TestSlowImportHoldsUpNobody(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	alice, _, _ := carried(t, home, ExportOptions{})
	noise := make([]byte, 200<<10) // what no packing holds back
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	if err := os.WriteFile(filepath.Join(alice.Profile.Workspace(), "noise"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	data, _, err := exportAgain(t, alice.Profile)
	if err != nil {
		t.Fatal(err)
	}
	read, write := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := home.Import(t.Context(), read, ImportOptions{Name: "slow", Check: sound})
		done <- err
	}()
	if _, err := write.Write(data[:len(data)-200]); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, home, CreateOptions{Name: "bob"})
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(10 * time.Second); len(hidden(t, home)) != 1; {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the import fills nothing")
		}
	}
	mustCreate(t, home, CreateOptions{Name: "dave"})
	_, err = write.Write(data[len(data)-200:])
	if err := errors.Join(err, write.Close(), <-done); err != nil {
		t.Fatal(err)
	}
	// One whose process has died is cleaned up by the next who makes a profile.
	if err := os.Mkdir(home.unfinished(importPrefix, "dead"), 0o700); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, home, CreateOptions{Name: "carol"})
	if left := hidden(t, home); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// While a profile is exported its worker may run, and somebody may have got hold of it:
// whatever that puts where the worker may write, the archive has nothing of others, and
// nothing is written elsewhere.
func TestExportIsNotLedElsewhereByTheWorker(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	alice := mustCreate(t, home, CreateOptions{Name: "alice"}).Profile
	bob := mustCreate(t, home, CreateOptions{Name: "bob"}).Profile
	data := filepath.Dir(alice.Database())
	secret := filepath.Join(bob.Workspace(), "state.db")
	for path, text := range map[string]string{alice.Database(): "alice's own", secret: "bob's secret"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// swap leads everything elsewhere that has come to be beside the database.
	swap := func() {
		entries, err := os.ReadDir(data)
		if err != nil {
			t.Error(err)
		}
		for _, entry := range entries {
			at := filepath.Join(data, entry.Name())
			if at == alice.Database() {
				continue
			}
			if err := errors.Join(os.Rename(at, filepath.Join(data, "moved")), os.Symlink(bob.Workspace(), at)); err != nil {
				t.Error(err)
			}
		}
	}
	var b bytes.Buffer
	_, err := alice.Export(t.Context(), &b, ExportOptions{Backup: func(ctx context.Context, from, to string) error {
		defer swap()
		return copyFileAs(ctx, from, to)
	}})
	if err != nil {
		t.Fatal(err)
	}
	created, err := openHome(t).Import(t.Context(), &b, ImportOptions{Check: sound})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(created.Profile.Database()); err != nil || string(text) != "alice's own" {
		t.Errorf("the archive has %q as the database (%v)", text, err)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "bob's secret" {
		t.Errorf("bob's file is %q (%v)", text, err)
	}
	if left, _ := filepath.Glob(filepath.Join(alice.Dir, copyPrefix+"*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
