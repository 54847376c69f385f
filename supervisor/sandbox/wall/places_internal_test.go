package wall

import (
	"os"
	"slices"
	"testing"
)

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
