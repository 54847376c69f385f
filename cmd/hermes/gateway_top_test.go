package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"pgregory.net/rapid"

	"hermes/supervisor"
)

func profilesNow(profiles ...supervisor.ProfileStatus) []running {
	return []running{{Status: supervisor.Status{PID: 7, Profiles: profiles}}}
}

func TestTopComparesTwoLooks(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	view := &topView{order: "cpu"}
	alice := supervisor.ProfileStatus{
		Name: "alice", State: supervisor.StateReady, PID: 11, Generation: 3, CPUSeconds: 5, Busy: 2, Jobs: 1, Restarts: 1,
		Memory: &supervisor.Memory{PSS: 3 << 20}, Started: began.Add(-90 * time.Second),
		LastExit: &supervisor.Exit{Reason: "killed by SIGKILL", At: began.Add(-90 * time.Second)},
		Retiring: []supervisor.Retiring{{PID: 10, Generation: 2, Since: began.Add(-time.Minute), Until: began.Add(9 * time.Minute), Busy: 1}},
	}
	bob := supervisor.ProfileStatus{Name: "bob", State: supervisor.StateReady, PID: 12, CPUSeconds: 1, Generation: 1, Started: began}
	carol := supervisor.ProfileStatus{Name: "carol", State: supervisor.StateSleeping}
	dave := supervisor.ProfileStatus{Name: "dave", State: supervisor.StateBackoff, Reason: "ended with exit code 3", Retry: began.Add(5 * time.Second)}
	view.take(profilesNow(alice, bob, carol, dave), began)
	bob.CPUSeconds, alice.CPUSeconds = 1.9, 5.25
	view.take(profilesNow(alice, bob, carol, dave), began.Add(time.Second))
	picture := strings.Join(view.lines(0, 0), "\n")
	for _, want := range []string{
		`4 profiles: 2 ready, 1 sleeping, 1 backoff; 2 turns, 1 jobs; cpu 115\.0 %, memory 3\.0 MiB; sorted by cpu`,
		`PROFILE +STATE +PID +GEN +TURNS +JOBS +CPU% +MEMORY +RESTARTS +UPTIME +REASON\nbob `,
		`bob +ready +12 +1 +0 +0 +90\.0 +- +0 +1s`,
		`alice +ready +11 +3 +2 +1 +25\.0 +3\.0MiB +1 +1m31s +the last one killed by SIGKILL, 1m31s ago`,
		`  alice +retiring +10 +2 +1 +0 +- +- +- +1m01s +finishes what it has begun, within 8m59s`,
		`carol +sleeping +- .* its first connection starts a worker`,
		`dave +backoff +- .* ended with exit code 3; next try in 4s`,
	} {
		if !regexp.MustCompile(want).MatchString(picture) {
			t.Errorf("there is no %s in\n%s", want, picture)
		}
	}
	// Another worker has used nothing yet: no share is made up for it.
	bob.PID, bob.CPUSeconds = 13, 0.1
	view.take(profilesNow(bob), began.Add(2*time.Second))
	if picture := strings.Join(view.lines(0, 0), "\n"); !regexp.MustCompile(`bob +ready +13 +1 +0 +0 +- `).MatchString(picture) {
		t.Errorf("got\n%s", picture)
	}
	orders := map[byte]string{'n': "alice", 'm': "alice", 't': "alice", 'r': "dave", 's': "dave", 'u': "alice", 'x': "alice"}
	dave.Restarts = 9
	for _, key := range []byte("nmtrsnx") {
		view.take(profilesNow(dave, bob, alice), began.Add(3*time.Second))
		view.press(key)
		if view.rows[0].Name != orders[key] {
			t.Errorf("key %c: %s is first, want %s", key, view.rows[0].Name, orders[key])
		}
	}
}

// However small the terminal is, and whatever the names and reasons are, a picture
// fits into it, and holds no sequence but ours.
func TestTopFitsIntoAnyTerminal(t *testing.T) {
	t.Parallel()
	colour := regexp.MustCompile("\x1b\\[[0-9]+m")
	rapid.Check(t, func(t *rapid.T) {
		view := &topView{order: rapid.SampledFrom(topOrders()).Draw(t, "order"), colours: rapid.Bool().Draw(t, "colours")}
		var all []supervisor.ProfileStatus
		for i := range rapid.IntRange(0, 40).Draw(t, "profiles") {
			status := supervisor.ProfileStatus{
				Name: fmt.Sprintf("p%d", i), State: supervisor.State(rapid.SampledFrom([]string{"ready", "backoff", "sleeping"}).Draw(t, "state")),
				Reason: rapid.StringMatching(`[a-zü漢🙂 \x1b\n]{0,60}`).Draw(t, "reason"), PID: i,
			}
			if rapid.Bool().Draw(t, "retiring") {
				status.Retiring = []supervisor.Retiring{{PID: 1000 + i}}
			}
			all = append(all, status)
		}
		list := profilesNow(all...)
		if rapid.Bool().Draw(t, "hung") {
			list = append(list, running{hung: errors.New("the gateway of all does not answer within 3s; end it with: kill -KILL 7")})
		}
		view.take(list, time.Unix(1, 0))
		width, height := rapid.IntRange(1, 200).Draw(t, "width"), rapid.IntRange(5, 60).Draw(t, "height")
		lines := view.lines(width, height)
		if len(lines) > height {
			t.Fatalf("%d lines in a terminal of %d", len(lines), height)
		}
		for _, line := range lines {
			bare := colour.ReplaceAllString(line, "")
			if strings.ContainsAny(bare, "\x1b\n\r") || text.StringWidthWithoutEscSequences(bare) > width {
				t.Fatalf("%q is wider than %d", line, width)
			}
		}
	})
}
