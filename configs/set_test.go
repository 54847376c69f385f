package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func (d dirs) target() Target {
	return Target{Profile: "alice", Dir: d.alice, HomeDir: d.home}
}

func (d dirs) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(d.home, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheKeyDecidesTheFile(t *testing.T) {
	t.Parallel()
	tests := []struct{ key, value, file, text string }{
		{"API_SERVER_PORT", "8650", ".env", "API_SERVER_PORT=8650\n"},
		{"API_SERVER_CORS_ORIGINS", "https://a.example, https://b.example", ".env", "API_SERVER_CORS_ORIGINS='https://a.example, https://b.example'\n"},
		{"OPENAI_API_KEY", "sk-1", ".env", "OPENAI_API_KEY=sk-1\n"},
		{"GITHUB_TOKEN", "ghp", ".env", "GITHUB_TOKEN=ghp\n"},
		{"MY_SECRET", "a b", ".env", "MY_SECRET='a b'\n"},
		{"DB_PASSWORD", "pä$$", ".env", "DB_PASSWORD='pä$$'\n"},
		{"model.default", "gpt-5", "config.yaml", "model:\n  default: gpt-5\n"},
		{"api_server.port", "8650", "config.yaml", "api_server:\n  port: 8650\n"},
		{"platforms.api_server.port", "8650", "config.yaml", "api_server:\n  port: 8650\n"},
		{"agent.tools", "terminal, patch", "config.yaml", "agent:\n  tools: [terminal, patch]\n"},
	}
	for _, test := range tests {
		t.Run(test.key, func(t *testing.T) {
			t.Parallel()
			d := newDirs(t, nil)
			change, err := Set(d.target(), test.key, test.value)
			want := filepath.Join(d.alice, test.file)
			if err != nil || change.File != want || change.Line < 1 || change.Unchanged || change.Shadowed != "" {
				t.Fatalf("got %+v, %v", change, err)
			}
			if text := d.read(t, "profiles/alice/"+test.file); text != test.text {
				t.Errorf("the file is %q, want %q", text, test.text)
			}
			if info, err := os.Stat(want); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the mode is %v, %v", info.Mode(), err)
			}
			if value := lookup(t, mustLoad(t, d.aliceSources()), test.key); !strings.HasPrefix(value.Source, want) {
				t.Errorf("it is loaded from %s", value.Source)
			}
		})
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	tests := []struct{ key, value, want string }{
		{"api_server.key", goodKey, "use API_SERVER_KEY"},
		{"platforms.api_server.key", goodKey, "use API_SERVER_KEY"},
		{"api_server_port", "8650", "write it as API_SERVER_PORT"},
		{"Api_Server_Key", goodKey, "write it as API_SERVER_KEY"},
		{"openai_api_key", "sk-1", "written in capitals: OPENAI_API_KEY"},
		{"Model.Default", "x", "write it as model.default"},
		{"model.defualt", "x", "did you mean model.default"},
		{"API_SERVER_PROT", "1", "did you mean API_SERVER_PORT"},
		{"API_SERVER_SECRET", "1", "unknown setting API_SERVER_SECRET"},
		{"API_SERVER_DRAIN_TIMEOUT", "1s", "hermes config set api_server.drain_timeout"},
		{"PATH", "/bin", "no such setting"},
		{"model", "x", "no such setting"},
		{"", "x", "no such setting"},
		{"model.default\nx", "x", "no such setting"},
		{"A=B_KEY", "x", "no such setting"},
		{"fallback_models", "x", "edited by hand"},
		{"API_SERVER_KEY", "", "hermes config unset API_SERVER_KEY"},
		{"API_SERVER_KEY", "a\nB=1", "line break"},
		{"OPENAI_API_KEY", "a\nB=1", "line break"},
		{"OPENAI_API_KEY", "a\x00", "control character"},
		{"OPENAI_API_KEY", " sk-1", "begins or ends with a space"},
		{"model.default", "a\nb", "line break"},
		{"API_SERVER_PORT", "0", "use 1 to 65535"},
	}
	for _, test := range tests {
		t.Run(test.key+"="+test.value, func(t *testing.T) {
			t.Parallel()
			d := newDirs(t, nil)
			_, err := Set(d.target(), test.key, test.value)
			var input *InputError
			if !errors.As(err, &input) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			for _, secret := range []string{goodKey, "sk-1"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("the error shows the value: %v", err)
				}
			}
			if text := d.read(t, aliceEnv) + d.read(t, aliceYAML); text != "" {
				t.Errorf("something was written: %q", text)
			}
		})
	}
}

func TestSetKeepsTheSettingsValid(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, env, yaml, key, value, want string }{
		{"host without a key", "", "", "API_SERVER_HOST", "0.0.0.0", "set a key of at least 16 characters first: hermes -p alice config set API_SERVER_KEY"},
		{"host in YAML without a key", "", "", "api_server.host", "::", "no API_SERVER_KEY is set"},
		{"weak key for an open host", "API_SERVER_HOST=0.0.0.0\nAPI_SERVER_KEY=" + goodKey + "\n", "", "API_SERVER_KEY", "password12345678", "well-known placeholder"},
		{"the other twin", "", "platforms:\n  api_server:\n    port: 1\napi_server:\n  port: 1\n", "api_server.port", "2", "differs from"},
		{"provider key first", "", "", "model.api_key_env", "MY_KEY", "set the provider's key first: hermes -p alice config set MY_KEY"},
		{"broken YAML", "", "model:\n\tx: y\n", "model.default", "x", "tab"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := newDirs(t, map[string]string{aliceEnv: test.env, aliceYAML: test.yaml})
			_, err := Set(d.target(), test.key, test.value)
			var problems *Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), d.alice) {
				t.Errorf("got %v, want %q with the file", err, test.want)
			}
			if d.read(t, aliceEnv) != test.env || d.read(t, aliceYAML) != test.yaml {
				t.Error("something was written")
			}
		})
	}
	t.Run("unset of a key that is needed", func(t *testing.T) {
		t.Parallel()
		env := "API_SERVER_HOST=0.0.0.0\nAPI_SERVER_KEY=" + goodKey + "\n"
		d := newDirs(t, map[string]string{aliceEnv: env})
		if _, err := Unset(d.target(), "API_SERVER_KEY"); err == nil || d.read(t, aliceEnv) != env {
			t.Errorf("got %v, the file is %q", err, d.read(t, aliceEnv))
		}
	})
}

// TestSetMendsWhatIsBroken changes one of two bad settings: that the other one
// stays bad is no reason to refuse.
func TestSetMendsWhatIsBroken(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{
		aliceEnv:  "API_SERVER_PORT=abc\nAPI_SERVER_HOST=0.0.0.0\nwhat is this\n",
		aliceYAML: "typo: 1\nagent:\n  max_iterations: many\n",
	})
	for _, step := range [][2]string{{"agent.max_iterations", "9"}, {"API_SERVER_PORT", "8650"}, {"API_SERVER_KEY", goodKey}, {"model.default", "x"}} {
		if _, err := Set(d.target(), step[0], step[1]); err != nil {
			t.Errorf("set %s: %v", step[0], err)
		}
	}
	_, err := Load(d.aliceSources())
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "typo") || !strings.Contains(err.Error(), "NAME=value") {
		t.Errorf("got %v", err)
	}
}

func TestSetSaysWhatIsStronger(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{homeEnv: "# hi\nAPI_SERVER_PORT=1\n"})
	target := Target{Profile: DefaultProfile, Dir: d.home, Environ: []string{"API_SERVER_HOST=127.0.0.2", "OPENAI_API_KEY=sk-env"}}
	tests := []struct{ key, value, want string }{
		{"api_server.port", "2", "API_SERVER_PORT in " + d.home + "/.env:2 is stronger"},
		{"API_SERVER_HOST", "127.0.0.3", "API_SERVER_HOST in the environment is stronger"},
		{"OPENAI_API_KEY", "sk-file", "OPENAI_API_KEY in the environment is stronger"},
		{"API_SERVER_PORT", "3", ""},
		{"model.default", "x", ""},
	}
	for _, test := range tests {
		change, err := Set(target, test.key, test.value)
		if err != nil || !strings.HasPrefix(change.Shadowed, test.want) || (test.want == "") != (change.Shadowed == "") {
			t.Errorf("%s: got %+v, %v, want %q", test.key, change, err, test.want)
		}
	}
}

func TestUnset(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{aliceEnv: "# a\nMY_KEY=1\nMY_KEY=2\n", aliceYAML: "model:\n  default: x\n"})
	for _, key := range []string{"MY_KEY", "model.default"} {
		if change, err := Unset(d.target(), key); err != nil || change.Unchanged || change.Line != 2 {
			t.Errorf("%s: %+v, %v", key, change, err)
		}
		if change, err := Unset(d.target(), key); err != nil || !change.Unchanged {
			t.Errorf("%s again: %+v, %v", key, change, err)
		}
	}
	if d.read(t, aliceEnv) != "# a\n" || d.read(t, aliceYAML) != "model:\n" {
		t.Errorf("the files are %q, %q", d.read(t, aliceEnv), d.read(t, aliceYAML))
	}
	if _, err := Unset(d.target(), "model.x"); err == nil {
		t.Error("an unknown key is unset")
	}
	empty := newDirs(t, nil)
	if change, err := Unset(empty.target(), "MY_KEY"); err != nil || !change.Unchanged {
		t.Errorf("without a file: %+v, %v", change, err)
	}
	if _, err := os.Stat(filepath.Join(empty.alice, EnvFile)); !errors.Is(err, os.ErrNotExist) {
		t.Error("unset made a file")
	}
}

func TestSetTightensTheMode(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{aliceEnv: "API_SERVER_PORT=1\n"})
	path := filepath.Join(d.alice, EnvFile)
	for _, value := range []string{"2", "2"} { // a change, and none
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Set(d.target(), "API_SERVER_PORT", value); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the mode is %v, %v", info.Mode(), err)
		}
	}
}

// TestRootLeavesFilesToTheirOwner runs `sudo hermes config set` in somebody's home.
func TestRootLeavesFilesToTheirOwner(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	d := newDirs(t, map[string]string{aliceYAML: "model:\n"})
	for _, path := range []string{d.alice, filepath.Join(d.alice, YAMLFile)} {
		if err := os.Chown(path, 1234, 1234); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"MY_KEY", "model.default"} {
		if _, err := Set(d.target(), key, "x"); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{EnvFile, YAMLFile, lockFile} {
		info, err := os.Lstat(filepath.Join(d.alice, name))
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != 1234 {
			t.Errorf("%s belongs to %v, %v", name, info.Sys(), err)
		}
	}
}

func TestSetRefusesSymlinks(t *testing.T) {
	t.Parallel()
	d := newDirs(t, map[string]string{"elsewhere": "API_SERVER_PORT=1\n"})
	target := filepath.Join(d.home, "elsewhere")
	if err := os.Symlink(target, filepath.Join(d.alice, EnvFile)); err != nil {
		t.Fatal(err)
	}
	if loaded := mustLoad(t, d.aliceSources()); loaded.Config.APIServer.Port != 1 {
		t.Errorf("a linked .env is not read")
	}
	_, err := Set(d.target(), "API_SERVER_PORT", "2")
	if err == nil || !strings.Contains(err.Error(), "symbolic link; edit "+target) || d.read(t, "elsewhere") != "API_SERVER_PORT=1\n" {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(d.alice, EnvFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(d.alice, lockFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(d.alice, lockFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Set(d.target(), "API_SERVER_PORT", "2"); err == nil {
		t.Error("a linked lock file is followed")
	}
}

// TestSetsAtTheSameTimeLoseNothing has many commands change one profile.
func TestSetsAtTheSameTimeLoseNothing(t *testing.T) {
	t.Parallel()
	d := newDirs(t, nil)
	var wg sync.WaitGroup
	const many = 20
	for i := range many {
		wg.Go(func() {
			if _, err := Set(d.target(), fmt.Sprintf("N%d_KEY", i), "x"); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			keys := []string{"model.default", "agent.max_iterations", "limits.processes", "api_server.max_concurrent_runs"}
			if _, err := Set(d.target(), keys[i%len(keys)], "99"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	loaded := mustLoad(t, d.aliceSources())
	if len(loaded.Env) != many {
		t.Errorf("%d of %d variables are there", len(loaded.Env), many)
	}
	if c := loaded.Config; c.Model.Default != "99" || c.Agent.MaxIterations != 99 || c.Limits.Processes != 99 || c.APIServer.MaxConcurrentRuns != 99 {
		t.Errorf("the settings are %+v", c)
	}
	entries, err := os.ReadDir(d.alice)
	if err != nil || len(entries) != 3 { // .config.lock, .env, config.yaml
		t.Errorf("the directory holds %v, %v", entries, err)
	}
}

func TestClone(t *testing.T) {
	t.Parallel()
	yaml, err := CloneYAML([]byte("# a\napi_server:\n  port: 1\n  key: x\n  on_disconnect: detach\nplatforms: {api_server: {host: 0.0.0.0}}\nmodel:\n  api_key_env: MY_KEY # mine\n"))
	want := "# a\napi_server:\n  on_disconnect: detach\nplatforms: {api_server: {}}\nmodel:\n  api_key_env: MY_KEY # mine\n"
	if err != nil || string(yaml) != want {
		t.Errorf("got %q, %v", yaml, err)
	}
	var problem *Problem
	if _, err := CloneYAML([]byte("a: *b\n")); !errors.As(err, &problem) {
		t.Errorf("got %v", err)
	}
	entries := CloneEnv([]byte("API_SERVER_KEY=a\nOPENAI_API_KEY=old\nMY_KEY=b\nGITHUB_TOKEN=c\n???\nOPENAI_API_KEY=d\nGROQ_API_KEY=\n"), yaml)
	got := map[string]string{}
	for _, e := range entries {
		got[e.Name] = e.Value.Reveal()
	}
	if len(entries) != 2 || got["MY_KEY"] != "b" || got["OPENAI_API_KEY"] != "d" {
		t.Errorf("got %v", got)
	}
	env := EnvTemplate(EnvOptions{Enabled: true, Port: 8700, Key: NewSecret(goodKey), Secrets: entries})
	loaded := mustLoad(t, newDirs(t, map[string]string{aliceEnv: string(env)}).aliceSources())
	if s := loaded.Config.APIServer; !s.Enabled || s.Port != 8700 || s.Key.Reveal() != goodKey || loaded.Env["MY_KEY"].Reveal() != "b" {
		t.Errorf("the template gives %+v, %v", s, loaded.Env)
	}
}

func TestClaimedPorts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, env, yaml string
		want            string
	}{
		{"none", "", "", "[]"},
		{"both", "API_SERVER_PORT=8643\n", "api_server:\n  port: 8644\n", "[8643 8644]"},
		{"every line", "API_SERVER_PORT=1\nexport API_SERVER_PORT = '2' # x\n", "", "[1 2]"},
		{"broken files", "???\nAPI_SERVER_PORT=\"8650\nx", "api_server: {port: 8651\n\t", "[8650 8651]"},
		{"alias", "", "platforms:\n  api_server:\n    \"port\" : '8652'\n", "[8652]"},
		{"comments", "# API_SERVER_PORT=1\n", "# port: 2\na: b # port: 3\n", "[]"},
		{"no port", "API_SERVER_PORT=abc\nAPI_SERVER_PORT=0\nAPI_SERVER_PORT=99999\nMY_API_SERVER_PORT=5\n", "support: 6\nport: 123456\n", "[]"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(ClaimedPorts([]byte(test.env), []byte(test.yaml))); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}
