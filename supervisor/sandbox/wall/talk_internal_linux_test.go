package wall

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzCarried sends a shim any bytes with any number of descriptors: a message comes
// as a whole or not at all, and no descriptor of it is left.
func FuzzCarried(f *testing.F) {
	f.Add([]byte(`{"kind":"soul"}`), 0)
	f.Add([]byte(`{"kind":"stage","stage":{"dir":"/"}}`), 4)
	f.Add([]byte(`{"kind":"stage","stage":{"dir":"/","files":[true,false,true]}}`), 6)
	f.Add([]byte(`{}`), 253)
	f.Add([]byte(strings.Repeat(" ", maxRequest+1)), 1)
	f.Fuzz(func(t *testing.T, data []byte, carried int) {
		if carried < 0 || carried > 253 || len(data) == 0 { // the kernel sends no more, and a byte with descriptors at least
			return
		}
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer closeAll(ends[:])
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
		got, fds, err := receive(ends[1], maxRequest, maxCarried)
		switch whole := len(data) <= maxRequest && carried <= maxCarried; {
		case whole != (err == nil):
			t.Errorf("%d bytes with %d descriptors: %v", len(data), carried, err)
		case err == nil && (len(got) != len(data) || len(fds) != carried):
			t.Errorf("%d bytes with %d descriptors have become %d with %d", len(data), carried, len(got), len(fds))
		case err == nil:
			if r, err := decodeRequest(got, len(fds)); err == nil && r.Kind == askStage && r.Stage.carried() != carried {
				t.Errorf("%q passes with %d descriptors", got, carried)
			}
		}
		closeAll(fds)
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

// What makes no sense is refused, each thing for itself.
func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	for request, carried := range map[string]int{
		`{"kind":"run"}`: 0, `{"kind":"soul","stage":{"dir":"/"}}`: 4, `{"kind":"stage"}`: 4, `{"kind":"stage","room":{}}`: 4, `[]`: 0, `{`: 0,
		`{"kind":"stage","stage":{"dir":"/","mark":"X=1\u0000LD_PRELOAD=/x"}}`: 4, `{"kind":"stage","stage":{"dir":"/","mark":"` + strings.Repeat("x", maxMark+1) + `"}}`: 4,
		`{"kind":"stage","stage":{"dir":"/a/../b"}}`: 4, `{"kind":"stage","stage":{"dir":"relative"}}`: 4, `{"kind":"stage","stage":{"dir":""}}`: 4,
		`{"kind":"stage","stage":{"dir":"/"}}`: 5, `{"kind":"stage","stage":{"dir":"/","files":[true]}}`: 4, `{"kind":"soul"}`: 1, `{"kind":"listen"} `: 2,
		`{"kind":"room","room":{"layers":{},"soul":"/a/../b"}}`: 0, `{"kind":"room","room":{"layers":{},"socket":"run/x"}}`: 0, `{"kind":"room","room":{"layers":{},"tree":"/a"}}`: 0,
		`{"kind":"room","room":{"layers":{},"writes":[{"source":"/a","path":"/../b"}]}}`: 0,
	} {
		if r, err := decodeRequest([]byte(request), carried); err == nil {
			t.Errorf("%.80s with %d descriptors passes as %+v", request, carried, r)
		}
	}
	if _, err := decodeRequest([]byte(`{"kind":"stage","stage":{"dir":"/","files":[true]}}`), 5); err != nil {
		t.Errorf("what makes sense: %v", err)
	}
}
