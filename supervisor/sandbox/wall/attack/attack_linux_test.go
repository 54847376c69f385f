package attack_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"hermes/supervisor/sandbox/wall"
	"hermes/supervisor/sandbox/wall/attack"
)

// The test binary is the stage and the attackers too.
// They end by syscall.Exit: os.Exit has the race detector wait for a second first.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case wall.Subcommand:
			syscall.Exit(wall.Main())
		case wall.ShimSubcommand:
			syscall.Exit(wall.ShimMain())
		case attack.Subcommand:
			syscall.Exit(attack.Main(os.Args[2:]))
		case elsewhere:
			syscall.Exit(elsewhereMain(os.Args[2], os.Args[3]))
		}
	}
	goleak.VerifyTestMain(m)
}

func run(t *testing.T, without ...wall.Layer) attack.Outcome {
	t.Helper()
	home := t.TempDir()
	for _, name := range []string{".env", "profiles/bob/.env"} {
		path := filepath.Join(home, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("API_SERVER_KEY=x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := attack.Run(t.Context(), attack.Options{Home: home, Without: without})
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) != 2 {
		t.Errorf("the attackers leave %v in the home, %v", entries, err)
	}
	return out
}

func TestNoAttackSucceeds(t *testing.T) {
	t.Parallel()
	out := run(t)
	if out.Level != wall.Full {
		t.Skipf("this machine has level %s, because %s; these succeed: %q", out.Level, out.Why, out.Hits)
	}
	if len(out.Hits) > 0 || out.Tried < 100 {
		t.Errorf("%d of %d attacks succeed: %q", len(out.Hits), out.Tried, out.Hits)
	}
}

// What a layer is for is seen when it is left out, so the attacks are none that fail
// anyway. Secrets in files stay closed at REDUCED; without any wall they are open.
func TestAttacksSucceedWhereLayersAreMissing(t *testing.T) {
	t.Parallel()
	if out := run(t); out.Level != wall.Full {
		t.Skipf("this machine has level %s", out.Level)
	}
	for name, test := range map[string]struct {
		without []wall.Layer
		level   wall.Level
		hits    []string
		not     string
	}{
		"namespaces": {
			[]wall.Layer{wall.LayerNamespaces},
			wall.Reduced,
			[]string{"stat .env", "touch a skill", "read the arguments of a process beside it", "speak to the control socket"},
			"read .env",
		},
		"Landlock": {[]wall.Layer{wall.LayerLandlock}, wall.Namespaces, []string{"speak to an abstract socket"}, "read .env"},
		"namespaces and Landlock": {
			[]wall.Layer{wall.LayerNamespaces, wall.LayerLandlock},
			wall.Weak,
			[]string{"read .env", "read profiles/bob/data/state.db", "list the true home", "write to config.yaml", "signal the worker", "read the machine's /tmp"},
			"io_uring",
		},
		"seccomp":     {[]wall.Layer{wall.LayerSeccomp}, wall.Reduced, []string{"io_uring", "userfaultfd", "ask for a key"}, "read .env"},
		"descriptors": {[]wall.Layer{wall.LayerDescriptors}, wall.Full, []string{"read .env by an inherited descriptor"}, "read .env"},
		"limits":      {[]wall.Layer{wall.LayerLimits}, wall.Full, []string{"write a file without an end"}, "read .env"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := run(t, test.without...)
			if out.Level != test.level || slices.Contains(out.Hits, test.not) {
				t.Errorf("level %s, hits %q", out.Level, out.Hits)
			}
			for _, want := range test.hits {
				if !slices.Contains(out.Hits, want) {
					t.Errorf("%q does not succeed; these do: %q", want, out.Hits)
				}
			}
		})
	}
}

// runWorker attacks the wall of a worker. A test binary with cgo gets no Landlock.
func runWorker(t *testing.T, without ...wall.Layer) attack.Outcome {
	t.Helper()
	home := t.TempDir()
	out, err := attack.RunWorker(t.Context(), attack.Options{Home: home, Without: without})
	if err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(home); err != nil || len(entries) != 0 {
		t.Errorf("the attackers leave %v in the home, %v", entries, err)
	}
	return out
}

func TestNoAttackFromAWorkerSucceeds(t *testing.T) {
	t.Parallel()
	out := runWorker(t)
	switch {
	case out.Level == wall.Namespaces && landlocked() && len(out.Hits) == 0: // with cgo
	case out.Level != wall.Full:
		t.Skipf("this machine has level %s, because %s; these succeed: %q", out.Level, out.Why, out.Hits)
	}
	if len(out.Hits) > 0 || out.Tried < 160 {
		t.Errorf("%d of %d attacks succeed: %q", len(out.Hits), out.Tried, out.Hits)
	}
}

// What a layer is for is seen when it is left out.
func TestAttacksFromAWorkerSucceedWhereLayersAreMissing(t *testing.T) {
	t.Parallel()
	if out := runWorker(t); !out.Level.Spaces() {
		t.Skipf("this machine has level %s", out.Level)
	}
	for layer, witness := range map[wall.Layer]string{
		wall.LayerMounts: "stat a file of another profile", wall.LayerSeccomp: "io_uring", wall.LayerLimits: "write cores",
		wall.LayerCapabilities: "keep a bounding set", wall.LayerMasks: "make a file beside config.yaml",
	} {
		t.Run(string(layer), func(t *testing.T) {
			t.Parallel()
			if layer == wall.LayerMounts && os.Getuid() == 0 {
				t.Skip("root's worker has its files by way of mounts")
			}
			if out := runWorker(t, layer); !slices.Contains(out.Hits, witness) {
				t.Errorf("%q does not succeed; these do: %q", witness, out.Hits)
			}
		})
	}
}

// landlocked reports whether this machine gives commands Landlock.
func landlocked() bool {
	return wall.New(wall.Options{Workspace: os.TempDir(), Temp: os.TempDir()}).Report(context.Background()).Level == wall.Full
}
