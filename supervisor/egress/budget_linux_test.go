package egress

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hermes/supervisor/egress/wire"
)

func TestBudgets(t *testing.T) {
	t.Parallel()
	up := provider(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1000)) })
	table := model(up.URL)
	table.Budget = Budget{RequestsPerMinute: 2}
	s := serve(t, table, Options{Now: func() time.Time { return time.Unix(1e9, 0) }})
	for i, want := range []int{200, 200, 429, 429} {
		status, header, text, err := s.send(http.MethodGet, "/v1/models", "", nil)
		if err != nil || status != want {
			t.Errorf("request %d: %d, %v", i, status, err)
		}
		if want == 429 && (header.Get("Retry-After") == "" || !strings.Contains(text, "limits.requests_per_minute")) {
			t.Errorf("refusal is %v %s", header, text)
		}
	}
	table.Budget = Budget{BytesPerDay: 1500}
	if err := s.Update(1, table); err != nil {
		t.Fatal(err)
	}
	if status, _, text, _ := s.send(http.MethodGet, "/v1/models", "", nil); status != 429 || !strings.Contains(text, "limits.bytes_per_day") {
		t.Errorf("after 2000 bytes of 1500: %d %s", status, text)
	}
	// Another worker of the profile has no budget of its own, another profile has.
	if used := s.left(); used != 1 {
		t.Fatalf("%d workers are served", used)
	}
	table.Budget = Budget{BytesPerDay: 1500}
	other, far := s.join(2, "alice", table)
	defer far.Close()
	defer other.Close()
	stranger, far2 := s.join(3, "bob", table)
	defer far2.Close()
	defer stranger.Close()
	for fd, want := range map[int]int{int(other.Fd()): 429, int(stranger.Fd()): 200} {
		door := wire.NewDoor(fd)
		resp, err := (&http.Client{Transport: door.Upstream("model/0")}).Get("http://x/v1/models")
		if err != nil || resp.StatusCode != want {
			t.Errorf("another worker got %v, %v, want %d", resp, err, want)
		}
		if resp != nil {
			resp.Body.Close()
		}
	}
}

func TestBudgetOfADayIsThatOfTheDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(time.Now)
		b.set(Budget{BytesPerDay: 10})
		if !b.spend(9) || b.spend(1) {
			t.Error("ten bytes are not ten")
		}
		why, after := b.admit()
		if why == "" || after <= 0 || after > 24*time.Hour {
			t.Errorf("%q, in %v", why, after)
		}
		time.Sleep(after) // of synctest's clock
		if why, _ := b.admit(); why != "" {
			t.Errorf("on the next day: %s", why)
		}
		before := b.used()
		b.resume(Used{Day: before.Day - 1, Bytes: 100, Tokens: 100})
		if now := b.used(); now != before {
			t.Errorf("what was used yesterday counts today: %+v", now)
		}
		b.resume(Used{Day: before.Day, Bytes: 100})
		if why, _ := b.admit(); why == "" {
			t.Error("what another generation has counted does not count")
		}
	})
}
