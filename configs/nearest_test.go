package configs

import "testing"

func TestEditDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"porfile", "profile", 2},
	} {
		if got := EditDistance(test.a, test.b); got != test.want {
			t.Errorf("from %q to %q is %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
