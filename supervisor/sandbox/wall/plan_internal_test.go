package wall

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
)

// What a stage is sent may be anything: it is read to its end or refused, in bounded
// memory, and a plan that passes names clean places only.
func FuzzPlan(f *testing.F) {
	var good bytes.Buffer
	if err := writeMessage(&good, plan{
		Layers: layers{Mounts: true}, Path: "/bin/sh", Argv: []string{"sh"}, Temp: "/t", Writes: []place{{Source: "/a", Path: "/b"}},
	}, maxPlan); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte("\xff\xff\xff\xff{}"))
	f.Add([]byte("\x00\x00\x00\x09{\"path\":1}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p plan
		if readMessage(bytes.NewReader(data), &p, 1<<16) != nil || p.check() != nil {
			return
		}
		for _, seen := range slices.Concat(p.System, p.Reads, p.Writes) {
			if !clean(seen.Path) {
				t.Errorf("the plan shows %q", seen.Path)
			}
		}
		var again bytes.Buffer
		if err := writeMessage(&again, p, 1<<20); err != nil {
			t.Fatal(err)
		}
		var same plan
		if err := readMessage(&again, &same, 1<<20); err != nil || same.Path != p.Path || !slices.Equal(same.Argv, p.Argv) {
			t.Errorf("%v, %+v became %+v", err, p, same)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x02{}"))
	f.Add([]byte("\x00\x00\x00\x1e{\"ended\":true,\"status\":4294967295}"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var said answer
		_ = readMessage(bytes.NewReader(data), &said, maxAnswer)
	})
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	var said answer
	if err := readMessage(bytes.NewReader([]byte{0x7f, 0xff, 0xff, 0xff}), &said, maxAnswer); err == nil {
		t.Error("a message of 2 GiB is read")
	}
	if err := readMessage(bytes.NewReader([]byte{0, 0, 0, 5, '{'}), &said, maxAnswer); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a message: %v", err)
	}
	if err := writeMessage(io.Discard, make([]byte, maxAnswer), maxAnswer); err == nil {
		t.Error("a message is written that cannot be read")
	}
}

func TestPlacesThatHoldSomethingHiddenAreNotShown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := New(Options{Workspace: dir + "/h/workspace", Home: dir + "/h/home", Temp: dir + "/h/tmp", Hidden: []string{dir + "/h"}})
	for _, hidden := range []string{dir + "/h", dir + "/h/x", dir, "/", "/etc", "/usr/lib", "/proc/1"} {
		if !w.covers(hidden) && hidden != "/" {
			t.Errorf("%s could be shown", hidden)
		}
	}
	if other := dir + "/other"; w.covers(other) {
		t.Errorf("%s could not be shown", other)
	}
}

func TestWithoutSplitsWhatHoldsSomethingHidden(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b/secret", "b/open"} {
		if err := os.MkdirAll(dir+"/"+name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	got := without(dir, []string{dir + "/b/secret"})
	if want := []string{dir + "/a", dir + "/b/open"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := without(dir, []string{"/elsewhere"}); !slices.Equal(got, []string{dir}) {
		t.Errorf("got %q", got)
	}
}

// What a worker sends its shim may be anything: what passes has as many descriptors as
// it needs, and names clean places only.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(`{"kind":"room","room":{"layers":{"mounts":true},"system":[],"writes":[{"source":"/a","path":"/b"}],"soul":"/c/SOUL.md"}}`), 0)
	f.Add([]byte(`{"kind":"stage","stage":{"dir":"/a","mark":"X=1","files":[true,false]}}`), 5)
	f.Add([]byte(`{"kind":"soul"}`), 0)
	f.Add([]byte(`{"kind":"listen","stage":{}}`), 250)
	f.Fuzz(func(t *testing.T, data []byte, carried int) {
		r, err := decodeRequest(data, carried)
		if err != nil {
			return
		}
		switch r.Kind {
		case askRoom:
			for _, seen := range slices.Concat(r.Room.System, r.Room.Reads, r.Room.Writes) {
				if !clean(seen.Path) {
					t.Errorf("the room shows %q", seen.Path)
				}
			}
		case askStage:
			if carried != r.Stage.carried() || carried > maxCarried || bytes.ContainsRune([]byte(r.Stage.Mark), 0) || r.Stage.Dir != "/" && !clean(r.Stage.Dir) {
				t.Errorf("%d descriptors came with %+v", carried, r.Stage)
			}
		case askSoul, askListen, askDeaf:
			if carried != 0 {
				t.Errorf("%d descriptors came with %q", carried, r.Kind)
			}
		default:
			t.Errorf("a request of the kind %q passes", r.Kind)
		}
	})
}
