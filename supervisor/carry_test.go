package supervisor

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"hermes/supervisor/handoff"
)

// someState is a state that a gateway could leave.
func someState() carried {
	second := moment(time.Second)
	return carried{
		Version: CarryVersion, PID: 7, Home: "/home", Lease: 3, Socket: 4, Image: 1,
		Members: []carriedMember{{
			Name: "alice", Lock: 5, Address: carriedAddress{Listener: 6},
			Service: carriedService{Wanted: true, State: StateReady, Since: &second},
			Processes: []carriedProcess{
				{Place: placeCurrent, Number: 2, PID: 8, Link: 7, Log: 8, Start: handoff.Start{Profile: "alice", Redact: []string{"a secret value"}}},
				{Place: placeRetiring, Number: 1, PID: 9, Link: 9, Log: 10, Pidfd: 11},
			},
		}},
	}
}

func TestStateThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	for what, spoil := range map[string]func(*carried){
		"another version":         func(c *carried) { c.Version++ },
		"no lease":                func(c *carried) { c.Lease = 0 },
		"stdin as a socket":       func(c *carried) { c.Socket = 0 },
		"a descriptor twice":      func(c *carried) { c.Members[0].Processes[1].Log = c.Lease },
		"a pidfd twice":           func(c *carried) { c.Members[0].Processes[1].Pidfd = c.Lease },
		"a profile without name":  func(c *carried) { c.Members[0].Name = "" },
		"two current workers":     func(c *carried) { c.Members[0].Processes[1].Place = placeCurrent },
		"a worker without place":  func(c *carried) { c.Members[0].Processes[0].Place = "somewhere" },
		"a worker that is nobody": func(c *carried) { c.Members[0].Processes[0].PID = 0 },
	} {
		state := someState()
		spoil(&state)
		data, err := json.Marshal(state)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeCarried(data); err == nil {
			t.Errorf("%s is taken for a state", what)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v tells a secret", what, err)
		}
	}
}

func FuzzState(f *testing.F) {
	data, err := json.Marshal(someState())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(`{"version":1,"lease":3,"socket":4,"members":[{"processes":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeCarried(data)
		if err != nil {
			return
		}
		// What is accepted survives being carried once more.
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeCarried(again); err != nil {
			t.Errorf("accepted once, and not again: %v", err)
		}
	})
}

func TestOutdatedWorkerIsReplacedWhenItHasNothingToDo(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := limits{start: time.Minute, silence: time.Hour, reload: 10 * time.Minute, backoff: backoff{base: time.Second, most: time.Minute, random: func() float64 { return 0 }}}
	for _, alien := range []bool{false, true} {
		s := newService(l, now)
		s.read("settings")
		s.seen = "settings"
		g := s.foster(handoff.Message{Ready: true, Busy: 1}, 4, alien, now)
		if !alien && !s.due(now) {
			t.Error("nobody looks whether it knows the settings")
		}
		s.read("settings")
		s.keep(now)
		if s.current != g || s.generations != 4 || s.state != StateReady {
			t.Fatalf("after the adoption: %+v", s)
		}
		s.tick(now.Add(2 * time.Second))
		if s.due(now.Add(2*time.Second)) || s.current != g {
			t.Error("it is replaced in the midst of a turn")
		}
		g.load(now.Add(3*time.Second), 0, 0)
		s.tick(now.Add(3 * time.Second))
		if alien {
			if s.current != nil || s.due(now.Add(3*time.Second)) || !s.listens() || s.settled(now.Add(3*time.Second)) {
				t.Error("another one begins beside one that knows other tables")
			}
			s.exited(g, now.Add(4*time.Second), "ended", false)
		} else if s.current != g {
			t.Error("it is stopped before another one is ready")
		}
		if !s.due(now.Add(4 * time.Second)) {
			t.Errorf("alien %v: no other one begins", alien)
		}
	}
}

func TestOfTwoOrphansTheNewerServes(t *testing.T) {
	t.Parallel()
	for _, order := range [][]int{{1, 2}, {2, 1}} {
		s := newService(limits{reload: time.Minute}, time.Now())
		for _, number := range order {
			s.foster(handoff.Message{Ready: true}, number, false, time.Now())
		}
		if s.current == nil || s.current.number != 2 || len(s.retiring) != 1 || s.retiring[0].number != 1 {
			t.Errorf("of %v generation %v serves", order, s.current)
		}
	}
}
