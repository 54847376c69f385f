package inside

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What a stage is sent may be anything: it is read to its end or refused, in bounded
// memory, and a plan that passes names clean places only.
func FuzzPlan(f *testing.F) {
	var good bytes.Buffer
	if err := WriteMessage(&good, &Plan{
		Layers: Layers{Mounts: true}, Path: "/bin/sh", Argv: []string{"sh"}, Temp: "/t", Writes: []Place{{Source: "/a", Path: "/b"}},
	}, MaxPlan); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add([]byte("\xff\xff\xff\xff{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Plan
		if ReadMessage(bytes.NewReader(data), &p, 1<<16) != nil || p.check() != nil {
			return
		}
		for _, seen := range slices.Concat(p.System, p.Reads, p.Writes) {
			if !Clean(seen.Path) {
				t.Errorf("the plan shows %q", seen.Path)
			}
		}
		var again bytes.Buffer
		if err := WriteMessage(&again, &p, 1<<20); err != nil {
			t.Fatal(err)
		}
		var same Plan
		if err := ReadMessage(&again, &same, 1<<20); err != nil || same.Path != p.Path || !slices.Equal(same.Argv, p.Argv) {
			t.Errorf("%v, %+v became %+v", err, p, same)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x0d\x00\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var said Answer
		_ = ReadMessage(bytes.NewReader(data), &said, MaxAnswer)
	})
}

func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	var said Answer
	if err := ReadMessage(bytes.NewReader([]byte{0x7f, 0xff, 0xff, 0xff}), &said, MaxAnswer); err == nil {
		t.Error("a message of 2 GiB is read")
	}
	if err := ReadMessage(bytes.NewReader([]byte{0, 0, 0, 5, '{'}), &said, MaxAnswer); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a message: %v", err)
	}
	if err := WriteMessage(io.Discard, &Answer{Error: string(make([]byte, MaxAnswer))}, MaxAnswer); err == nil {
		t.Error("a message is written that cannot be read")
	}
}

// What is said arrives as it was said, and nothing else passes: neither a part of it, nor
// more than it.
func TestMessagesArriveWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		texts, flags := rapid.SliceOf(rapid.String()), rapid.SliceOf(rapid.Bool())
		places := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Place {
			return Place{Source: rapid.String().Draw(t, "source"), Path: rapid.String().Draw(t, "path"), Link: rapid.String().Draw(t, "link")}
		}))
		said := Plan{
			Probe: rapid.Bool().Draw(t, "probe"), Path: rapid.String().Draw(t, "program"), Argv: texts.Draw(t, "argv"), Env: texts.Draw(t, "env"),
			Files: flags.Draw(t, "files"), Terminal: rapid.Bool().Draw(t, "terminal"), Offline: rapid.Bool().Draw(t, "offline"), Proxy: rapid.Bool().Draw(t, "proxy"),
			System: places.Draw(t, "system"), Masks: texts.Draw(t, "masks"), Reads: places.Draw(t, "reads"), Writes: places.Draw(t, "writes"), Temp: rapid.String().Draw(t, "temp"),
		}
		said.Layers.Landlock = rapid.IntRange(0, 99).Draw(t, "landlock")
		for _, layer := range said.Layers.flags() {
			*layer = rapid.Bool().Draw(t, "layer")
		}
		data, err := encode(&said, MaxPlan)
		if err != nil {
			t.Fatal(err)
		}
		var got Plan
		if err := decode(data, &got); err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", said) {
			t.Fatalf("%v, %+v became %+v", err, said, got)
		}
		if decode(data[:rapid.IntRange(0, len(data)-1).Draw(t, "cut")], &got) == nil || decode(append(data, 0), &got) == nil {
			t.Fatal("a message passes that is none")
		}
		least, err := parseLayers(said.Layers.argument())
		if err != nil || least != said.Layers {
			t.Fatalf("%v, %+v became %+v as an argument", err, said.Layers, least)
		}
	})
	for _, said := range []string{"", "111", "1111111", "11111112x", "x1111117"} {
		if _, err := parseLayers(said); err == nil {
			t.Errorf("%q passes as layers", said)
		}
	}
}

// What a worker sends its shim may be anything: what passes has as many descriptors as
// it needs, and names clean places only.
func FuzzRequest(f *testing.F) {
	for carried, r := range map[int]Request{
		0:   {Kind: AskRoom, Room: &Room{Layers: Layers{Mounts: true}, Writes: []Place{{Source: "/a", Path: "/b"}}, Soul: "/c/SOUL.md"}},
		5:   {Kind: AskStage, Stage: &Start{Dir: "/a", Mark: "X=1", Files: []bool{true, false}}},
		1:   {Kind: AskSoul},
		250: {Kind: AskListen, Stage: &Start{}},
	} {
		data, err := encode(&r, MaxRequest)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, carried)
	}
	f.Fuzz(func(t *testing.T, data []byte, carried int) {
		r, err := decodeRequest(data, carried)
		if err != nil {
			return
		}
		switch r.Kind {
		case AskRoom:
			for _, seen := range slices.Concat(r.Room.System, r.Room.Reads, r.Room.Writes) {
				if !Clean(seen.Path) {
					t.Errorf("the room shows %q", seen.Path)
				}
			}
		case AskStage:
			if carried != r.Stage.carried() || carried > maxCarried || bytes.ContainsRune([]byte(r.Stage.Mark), 0) || r.Stage.Dir != "/" && !Clean(r.Stage.Dir) {
				t.Errorf("%d descriptors came with %+v", carried, r.Stage)
			}
		case AskSoul, AskListen, AskDeaf:
			if carried != 0 {
				t.Errorf("%d descriptors came with %q", carried, r.Kind)
			}
		default:
			t.Errorf("a request of the kind %q passes", r.Kind)
		}
	})
}
