package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pack makes an archive of headers, as somebody does who means no good. The
// manifest comes first unless a header of that name does.
func pack(tb testing.TB, headers ...tar.Header) []byte {
	tb.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	put := func(h tar.Header, data string) {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Size == 0 && h.Typeflag == tar.TypeReg {
			h.Size = int64(len(data))
		}
		if h.Mode == 0 {
			h.Mode = 0o600
		}
		if err := w.WriteHeader(&h); err != nil {
			tb.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, data); err != nil {
				tb.Fatal(err)
			}
		}
	}
	put(tar.Header{Name: prefix + manifest}, `{"format":1,"name":"alice"}`)
	for _, h := range headers {
		put(h, "x")
	}
	if err := errors.Join(w.Flush(), gz.Close()); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// unpack reads an archive into a fresh directory that has neighbours, and checks
// that they are as before.
func unpack(tb testing.TB, data []byte) (dir string, err error) {
	tb.Helper()
	around := tb.TempDir()
	dir = filepath.Join(around, "new")
	if err := os.WriteFile(filepath.Join(around, "victim"), []byte("precious"), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		tb.Fatal(err)
	}
	r, err := Open(bytes.NewReader(data))
	if err == nil {
		err = r.Unpack(tb.Context(), dir)
	}
	entries, _ := os.ReadDir(around)
	victim, _ := os.ReadFile(filepath.Join(around, "victim"))
	if len(entries) != 2 || string(victim) != "precious" {
		tb.Errorf("something was written outside: %v, %q", entries, victim)
	}
	return dir, err
}

func TestWhatIsNoPartOfAProfileIsRefused(t *testing.T) {
	t.Parallel()
	at := func(name string) tar.Header { return tar.Header{Name: name} }
	link := func(name, target string) tar.Header {
		return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
	}
	for name, test := range map[string]struct {
		headers []tar.Header
		want    string
	}{
		"absolute":               {[]tar.Header{at("/etc/passwd")}, "no part of a profile"},
		"absolute below":         {[]tar.Header{at(prefix + "/etc/passwd")}, "lead out"},
		"upwards":                {[]tar.Header{at(prefix + "../victim")}, "lead out"},
		"upwards from below":     {[]tar.Header{at(prefix + "workspace/../../victim")}, "lead out"},
		"not clean":              {[]tar.Header{at(prefix + "workspace/./a")}, "lead out"},
		"backslash":              {[]tar.Header{at(prefix + `workspace\..\..\victim`)}, "backslash"},
		"control character":      {[]tar.Header{at(prefix + "workspace/a\x1b[2J")}, "control character"},
		"no text":                {[]tar.Header{{Name: prefix + "workspace/a\xff", Format: tar.FormatGNU}}, "no text"},
		"unknown file":           {[]tar.Header{at(prefix + "gateway.lock")}, "no part of a profile"},
		"unknown directory":      {[]tar.Header{at(prefix + "home/.bashrc")}, "no part of a profile"},
		"beside the database":    {[]tar.Header{at(prefix + "data/state.db-wal")}, "no part of a profile"},
		"settings as directory":  {[]tar.Header{{Name: prefix + "config.yaml/", Typeflag: tar.TypeDir}}, "no part of a profile"},
		"workspace as a file":    {[]tar.Header{at(prefix + "workspace")}, "no part of a profile"},
		"second manifest":        {[]tar.Header{at(prefix + manifest)}, "no part of a profile"},
		"hard link":              {[]tar.Header{{Name: prefix + "workspace/a", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}}, "hard link"},
		"device":                 {[]tar.Header{{Name: prefix + "workspace/a", Typeflag: tar.TypeBlock}}, "neither a file"},
		"pipe":                   {[]tar.Header{{Name: prefix + "workspace/a", Typeflag: tar.TypeFifo}}, "neither a file"},
		"link to an absolute":    {[]tar.Header{link(prefix+"workspace/a", "/etc")}, "leads out"},
		"link upwards":           {[]tar.Header{link(prefix+"workspace/a", "../victim")}, "leads out"},
		"link down and up":       {[]tar.Header{link(prefix+"workspace/s", "."), link(prefix+"workspace/a", "s/..")}, "down and up"},
		"link of memory":         {[]tar.Header{link(prefix+"memories/a", "b")}, "only the workspace"},
		"file through a link":    {[]tar.Header{link(prefix+"workspace/a", "b"), at(prefix + "workspace/a/c")}, "a file and a directory"},
		"link in place of a dir": {[]tar.Header{at(prefix + "workspace/a/c"), link(prefix+"workspace/a", "b")}, "twice"},
		"twice":                  {[]tar.Header{at(prefix + "SOUL.md"), at(prefix + "SOUL.md")}, "twice"},
		"capitals":               {[]tar.Header{at(prefix + "workspace/Makefile"), at(prefix + "workspace/makefile")}, "capital letters"},
		"two accents":            {[]tar.Header{at(prefix + "workspace/\u00e9"), at(prefix + "workspace/e\u0301")}, "twice"},
		"deep":                   {[]tar.Header{at(prefix + "workspace/" + strings.Repeat("a/", maxDepth) + "a")}, "longer than"},
		"long name":              {[]tar.Header{at(prefix + "workspace/" + strings.Repeat("a", 256))}, "255 bytes"},
		"holes":                  {[]tar.Header{at(prefix + "workspace/a")}, "holes"},
		"other root":             {[]tar.Header{at("alice/SOUL.md")}, "no part of a profile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := pack(t, test.headers...)
			if name == "holes" { // the library writes none
				data = withHoles(t)
			}
			_, err := unpack(t, data)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// withHoles is an archive with a file of 4 GiB of which one block is there: the
// sparse format 1.0 of GNU tar, in which the map of the file leads its data.
func withHoles(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	text := `{"format":1}`
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: prefix + manifest, Size: int64(len(text))})
	_, _ = io.WriteString(w, text)
	_ = w.Flush()
	records := ""
	for _, record := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=" + prefix + "workspace/a", "GNU.sparse.realsize=4294967296"} {
		length := len(record) + 2
		for length != len(strconv.Itoa(length))+len(record)+2 {
			length = len(strconv.Itoa(length)) + len(record) + 2
		}
		records += strconv.Itoa(length) + " " + record + "\n"
	}
	block := func(flag byte, name, data string) {
		raw := make([]byte, 512)
		copy(raw, name)
		copy(raw[100:], "0000600\x000000000\x000000000\x00")
		copy(raw[124:], fmt.Sprintf("%011o\x0000000000000\x00        ", len(data)))
		raw[156] = flag
		copy(raw[257:], "ustar\x0000")
		sum := 0
		for _, c := range raw {
			sum += int(c)
		}
		copy(raw[148:], fmt.Sprintf("%06o\x00 ", sum))
		_, _ = gz.Write(raw)
		_, _ = gz.Write([]byte(data + strings.Repeat("\x00", (512-len(data)%512)%512)))
	}
	block('x', "pax", records)
	block('0', prefix+"workspace/a", "1\n0\n1\n"+strings.Repeat("\x00", 506)+"x")
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHugeArchivesAreRefused(t *testing.T) {
	t.Parallel()
	t.Run("one large file", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		gz := gzip.NewWriter(&b)
		w := tar.NewWriter(gz)
		text := `{"format":1}`
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: prefix + manifest, Size: int64(len(text))})
		_, _ = io.WriteString(w, text)
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: prefix + "workspace/a", Size: maxFile + 1})
		_ = errors.Join(w.Flush(), gz.Close())
		if _, err := unpack(t, b.Bytes()); err == nil || !strings.Contains(err.Error(), "larger than 8 GiB") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("bomb", func(t *testing.T) {
		t.Parallel()
		r, err := Open(bytes.NewReader(pack(t)))
		if err != nil {
			t.Fatal(err)
		}
		// A kibibyte that claims to be a gigabyte, without writing that to the disk.
		b := &bounded{from: zeros{}, packed: &counter{n: 1 << 10}}
		n, err := io.Copy(io.Discard, io.LimitReader(b, 1<<30))
		if err == nil || !strings.Contains(err.Error(), "200 times") || n > ratioSlack+1<<20 || r.Manifest.Name != "alice" {
			t.Errorf("got %d bytes, %v", n, err)
		}
	})
	for name, test := range map[string]struct {
		fill func(r *register) error
		want string
	}{
		"files": {func(r *register) error { r.count = maxEntries; return r.add("workspace/a", false, 1) }, "more than 200000 files"},
		"names": {func(r *register) error { r.names = maxNames; return r.add("workspace/a", false, 1) }, "more than 32 MiB"},
		"bytes": {func(r *register) error { r.total = maxTotal; return r.add("workspace/a", false, 1) }, "more than 32 GiB"},
		"soul":  {func(r *register) error { return r.add(Soul, false, maxSettings+1) }, "larger than 1 MiB"},
	} {
		if err := test.fill(&register{}); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestOtherFilesAreNoArchives(t *testing.T) {
	t.Parallel()
	good := pack(t, tar.Header{Name: prefix + "SOUL.md"})
	flipped := bytes.Clone(good)
	flipped[len(flipped)-6] ^= 0xff
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":   {nil, ErrNone.Error()},
		"text":      {[]byte("#!/bin/sh\necho hello, this is a shell script\n"), ErrNone.Error()},
		"cut off":   {good[:len(good)/2], "cut off"},
		"bad sum":   {flipped, "damaged"},
		"other tar": {otherTar(t), ErrNone.Error()},
	} {
		if _, err := unpack(t, test.data); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

// otherTar is a good archive of something else.
func otherTar(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	w := tar.NewWriter(gz)
	if err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "go.mod"}), w.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatWasWrittenIsRead(t *testing.T) {
	t.Parallel()
	write := func() []byte {
		var b bytes.Buffer
		w, err := NewWriter(&b, Manifest{Name: "alice", MadeBy: "hermes v1", Secrets: true, Workspace: true})
		if err != nil {
			t.Fatal(err)
		}
		when := time.Date(2026, 3, 4, 5, 6, 7, 891, time.UTC)
		err = errors.Join(
			w.File(Soul, 4, false, time.Time{}, strings.NewReader("kind")),
			w.Dir(Workspace), w.Dir("workspace/empty"),
			w.File("workspace/run.sh", 2, true, when, strings.NewReader("ls and what grew meanwhile")),
			w.Link("workspace/empty/up", "../run.sh"),
			w.File("workspace/später.txt", 0, false, when, strings.NewReader("")),
			w.Close(),
		)
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	data := write()
	if !bytes.Equal(data, write()) {
		t.Error("the same state makes two archives")
	}
	dir, err := unpack(t, data)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "workspace/run.sh"))
	if err != nil || info.Mode().Perm() != 0o700 || info.Size() != 2 || info.ModTime().UTC().Format(time.TimeOnly) != "05:06:07" {
		t.Errorf("run.sh is %v, %v", info, err)
	}
	if target, err := os.Readlink(filepath.Join(dir, "workspace/empty/up")); target != "../run.sh" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "SOUL.md")); err != nil || info.Mode() != 0o600 {
		t.Errorf("SOUL.md is %v, %v", info, err)
	}
}

func TestWriterRefusesWhatAReaderWould(t *testing.T) {
	t.Parallel()
	w, err := NewWriter(io.Discard, Manifest{})
	if err != nil {
		t.Fatal(err)
	}
	empty := strings.NewReader("")
	for name, err := range map[string]error{
		"elsewhere":    w.File("home/.bashrc", 0, false, time.Time{}, empty),
		"backslash":    w.File(`workspace/a\b`, 0, false, time.Time{}, empty),
		"link outward": w.Link("workspace/a", "/etc/passwd"),
		"large":        w.File("workspace/a", maxFile+1, false, time.Time{}, empty),
	} {
		if _, ok := errors.AsType[*RefusedError](err); !ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if err := w.File("workspace/shrinks", 3, false, time.Time{}, strings.NewReader("ab")); err == nil || !strings.Contains(err.Error(), "shrank") {
		t.Errorf("a file that shrinks: %v", err)
	}
}

// FuzzUnpack holds that nothing is written outside, whatever an archive says, and
// that what is written consists of plain files, directories and links that stay.
func FuzzUnpack(f *testing.F) {
	raw := func(headers ...tar.Header) []byte {
		gz, err := gzip.NewReader(bytes.NewReader(pack(f, headers...)))
		if err != nil {
			f.Fatal(err)
		}
		data, err := io.ReadAll(gz)
		if err != nil {
			f.Fatal(err)
		}
		return data
	}
	f.Add(raw(tar.Header{Name: prefix + "workspace/a"}, tar.Header{Name: prefix + "workspace/b", Typeflag: tar.TypeSymlink, Linkname: "a"}))
	f.Add(raw(tar.Header{Name: prefix + "../a"}, tar.Header{Name: prefix + "memories/", Typeflag: tar.TypeDir}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		var b bytes.Buffer
		gz := gzip.NewWriter(&b)
		_, _ = gz.Write(data)
		_ = gz.Close()
		dir, _ := unpack(t, b.Bytes())
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		err = fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			switch {
			case entry.Type()&fs.ModeSymlink != 0:
				if _, err := root.Stat(path); err != nil && strings.Contains(err.Error(), "escapes") {
					t.Errorf("%s leads out", path)
				}
			case !entry.IsDir() && !entry.Type().IsRegular():
				t.Errorf("%s is %v", path, entry.Type())
			case !known(path, entry.IsDir()) && path != ".":
				t.Errorf("%s is no part of a profile", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
