package api

import "testing"

func TestLabelsAreEscaped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pairs []string
		want  string
	}{
		{nil, ""},
		{[]string{"tool", "read_file"}, `tool="read_file"`},
		{[]string{"tool", "read_file", "outcome", "done"}, `tool="read_file",outcome="done"`},
		{[]string{"version", "a\\b\"c\"\nd é"}, `version="a\\b\"c\"\nd é"`},
	} {
		if got := labels(test.pairs...); got != test.want {
			t.Errorf("labels(%q) = %s, want %s", test.pairs, got, test.want)
		}
	}
}
