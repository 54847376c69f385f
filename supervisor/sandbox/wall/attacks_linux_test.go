package wall_test

import (
	"slices"
	"strings"
	"testing"

	"hermes/supervisor/sandbox/wall"
)

// attackAll tries all attacks and returns the names of those that succeed.
func attackAll(t *testing.T, uid int, without ...wall.Layer) (hits []string, level wall.Level) {
	t.Helper()
	s := newScene(t, uid)
	out := job{Scene: s, Argv: []string{s.Exe, "attacks"}, Without: without}.run(t, uid)
	lines := strings.Split(strings.TrimSpace(out.Output.Text), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "TRIED 1") {
		t.Fatalf("the attackers did not come to their end: %s", out.Output.Text)
	}
	for _, line := range lines {
		if name, hit := strings.CutPrefix(line, "HIT "); hit {
			hits = append(hits, name)
		}
	}
	slices.Sort(hits)
	return hits, out.Report.Level
}

func TestNoAttackSucceeds(t *testing.T) {
	t.Parallel()
	needs(t, wall.Full)
	for name, uid := range users() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hits, level := attackAll(t, uid)
			if len(hits) > 0 || level != wall.Full {
				t.Errorf("at level %s these succeed: %q", level, hits)
			}
		})
	}
}

// reducedHits are the attacks that succeed where the kernel refuses namespaces: none
// of them reads or changes what is in a file of the profile.
func reducedHits(uid int) []string {
	hits := []string{
		"limit a process beside it", "list the descriptors of the worker", "open a skill to others", "read the arguments of a process beside it",
		"see a System V segment of the machine", "speak to the control socket", "stat .env", "touch a skill",
	}
	if uid == 0 {
		hits = append(hits, "leave a setuid program")
	} else {
		hits = append(hits, "slow a process beside it")
	}
	slices.Sort(hits)
	return hits
}

func TestKnownAttacksSucceedWithoutNamespaces(t *testing.T) {
	t.Parallel()
	needs(t, wall.Full)
	for name, uid := range users() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hits, level := attackAll(t, uid, wall.LayerNamespaces)
			if want := reducedHits(uid); !slices.Equal(hits, want) || level != wall.Reduced {
				t.Errorf("at level %s these succeed:\n%q, known are\n%q", level, hits, want)
			}
		})
	}
}

// Each layer stops something that no other does.
func TestNoLayerIsDecoration(t *testing.T) {
	t.Parallel()
	needs(t, wall.Full)
	for layer, witness := range map[wall.Layer]string{
		wall.LayerNamespaces: "stat .env", wall.LayerMounts: "speak to the control socket", wall.LayerProcesses: "read the arguments of a process beside it", wall.LayerLandlock: "speak to an abstract socket",
		wall.LayerSeccomp: "io_uring", wall.LayerCapabilities: "hold a capability", wall.LayerDescriptors: "read .env by an inherited descriptor",
		wall.LayerLimits: "write a file without an end", wall.LayerMasks: "read /etc/shadow",
	} {
		t.Run(string(layer), func(t *testing.T) {
			t.Parallel()
			uid := users()["ordinary user"]
			if layer == wall.LayerMasks { // only root could read what they hide here
				if users()["root"] != 0 || len(users()) == 1 {
					t.Skip("it hides from root what root owns")
				}
				uid = 0
			}
			if hits, _ := attackAll(t, uid, layer); !slices.Contains(hits, witness) {
				t.Errorf("%q should succeed without %s, these do: %q", witness, layer, hits)
			}
		})
	}
}
