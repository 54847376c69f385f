package policy_test

import (
	"testing"

	"hermes/worker/policy"
)

const (
	profile   = "/srv/hermes/profiles/alice"
	workspace = profile + "/workspace"
)

func newPolicy(tb testing.TB, opts policy.Options) *policy.Policy {
	tb.Helper()
	opts.Workspace, opts.Home, opts.Profile = []string{workspace}, profile+"/home", []string{profile}
	p, err := policy.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	p := newPolicy(t, policy.Options{})
	samples := corpus()
	if len(samples) < 250 {
		t.Errorf("only %d samples", len(samples))
	}
	for _, s := range samples {
		got := p.Judge(s.command, "")
		if string(got.Class) != s.class || got.Denied != (s.class != "") {
			t.Errorf("%s\n\tis %+v, want %q", s.command, got, s.class)
		}
	}
	t.Logf("%d samples", len(samples))
}
