package inside

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzCarried sends a shim any bytes with any number of descriptors: a message comes
// as a whole or not at all, and no descriptor of it is left.
func FuzzCarried(f *testing.F) {
	for carried, r := range map[int]Request{
		0: {Kind: AskSoul}, 4: {Kind: AskStage, Stage: &Start{Dir: "/"}}, 6: {Kind: AskStage, Stage: &Start{Dir: "/", Files: []bool{true, false, true}}}, 253: {},
	} {
		f.Add(encoded(f, r), carried)
	}
	f.Add([]byte(strings.Repeat(" ", MaxRequest+1)), 1)
	f.Fuzz(func(t *testing.T, data []byte, carried int) {
		if carried < 0 || carried > 253 || len(data) == 0 { // the kernel sends no more, and a byte with descriptors at least
			return
		}
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer CloseAll(ends[:])
		var rights []byte
		if carried > 0 {
			fds := make([]int, carried)
			for i := range fds {
				fds[i] = ends[i%2]
			}
			rights = unix.UnixRights(fds...)
		}
		before := openDescriptors(t)
		if err := unix.Sendmsg(ends[0], data, rights, nil, unix.MSG_DONTWAIT); err != nil {
			return // longer than the socket takes
		}
		got, fds, err := Receive(ends[1], MaxRequest, maxCarried)
		switch whole := len(data) <= MaxRequest && carried <= maxCarried; {
		case whole != (err == nil):
			t.Errorf("%d bytes with %d descriptors: %v", len(data), carried, err)
		case err == nil && (len(got) != len(data) || len(fds) != carried):
			t.Errorf("%d bytes with %d descriptors have become %d with %d", len(data), carried, len(got), len(fds))
		case err == nil:
			if r, err := decodeRequest(got, len(fds)); err == nil && r.Kind == AskStage && r.Stage.carried() != carried {
				t.Errorf("%q passes with %d descriptors", got, carried)
			}
		}
		CloseAll(fds)
		if after := openDescriptors(t); after != before {
			t.Errorf("%d bytes with %d descriptors leave %d", len(data), carried, after-before)
		}
	})
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	return len(entries)
}

func encoded(tb testing.TB, r Request) []byte {
	tb.Helper()
	data, err := r.Bytes()
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// What makes no sense is refused, each thing for itself.
func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	stage := func(s Start) Request { return Request{Kind: AskStage, Stage: &s} }
	room := func(r Room) Request { return Request{Kind: AskRoom, Room: &r} }
	for _, wrong := range []struct {
		Request

		carried int
	}{
		{Request{Kind: "run"}, 0},
		{Request{Kind: AskSoul, Stage: &Start{Dir: "/"}}, 4},
		{Request{Kind: AskStage}, 4},
		{Request{Kind: AskStage, Room: &Room{}}, 4},
		{stage(Start{Dir: "/", Mark: "X=1\x00LD_PRELOAD=/x"}), 4},
		{stage(Start{Dir: "/", Mark: strings.Repeat("x", maxMark+1)}), 4},
		{stage(Start{Dir: "/a/../b"}), 4},
		{stage(Start{Dir: "relative"}), 4},
		{stage(Start{}), 4},
		{stage(Start{Dir: "/"}), 5},
		{stage(Start{Dir: "/", Files: []bool{true}}), 4},
		{Request{Kind: AskSoul}, 1},
		{Request{Kind: AskListen}, 2},
		{room(Room{Soul: "/a/../b"}), 0},
		{room(Room{Socket: "run/x"}), 0},
		{room(Room{Tree: "/a"}), 0},
		{room(Room{Writes: []Place{{Source: "/a", Path: "/../b"}}}), 0},
	} {
		if r, err := decodeRequest(encoded(t, wrong.Request), wrong.carried); err == nil {
			t.Errorf("%+v with %d descriptors passes as %+v", wrong.Request, wrong.carried, r)
		}
	}
	for _, data := range []string{"", "{", "[]", "\x00\x00\x00\x04soul\x00", "\xff\xff\xff\xffsoul\x00\x00"} {
		if r, err := decodeRequest([]byte(data), 0); err == nil {
			t.Errorf("%q passes as %+v", data, r)
		}
	}
	if _, err := decodeRequest(encoded(t, stage(Start{Dir: "/", Files: []bool{true}})), 5); err != nil {
		t.Errorf("what makes sense: %v", err)
	}
}
