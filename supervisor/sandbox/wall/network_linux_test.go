package wall_test

import (
	"testing"

	"hermes/supervisor/sandbox/wall"
)

// The network of its own is what keeps a command from the machine's, whoever starts
// the stage: with it nothing of the machine is reached, without it all.
func TestNetworkOfACommandIsNoDecoration(t *testing.T) {
	t.Parallel()
	needs(t, wall.Full)
	rooms := []wall.Level{""}
	if roomLevel(t) == wall.Full {
		rooms = append(rooms, wall.Full)
	}
	for _, room := range rooms {
		for name, change := range map[string]func(*job){
			"offline": func(j *job) { j.Offline = true }, "proxy": func(j *job) { j.Proxy = true }, "nothing": func(*job) {},
		} {
			t.Run("room "+string(room)+"/"+name, func(t *testing.T) {
				t.Parallel()
				uid := users()["ordinary user"]
				s := newScene(t, uid)
				j := job{Scene: s, Room: room, Argv: []string{s.Exe, "attack", "worker", "speak to a port of the machine"}}
				change(&j)
				out := j.run(t, uid)
				if hit := out.Output.ExitCode == 0; hit != (name == "nothing") {
					t.Errorf("it speaks to a port of the machine: %v, %s", hit, out.Output.Text)
				}
			})
		}
	}
}
