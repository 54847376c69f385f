package store_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hermes/worker/store"
)

// prompts shows which of the sessions have a prompt.
func prompts(t *testing.T, s *store.Store, sessions ...string) string {
	t.Helper()
	var found []string
	for _, session := range sessions {
		prompt, ok, err := s.SessionPrompt(t.Context(), session)
		must(t, err)
		if ok {
			found = append(found, session+"="+prompt)
		}
	}
	return strings.Join(found, " ")
}

func TestTheFirstPromptOfASessionStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	s := reopen(t, path, store.Options{})
	if got := prompts(t, s, "a"); got != "" {
		t.Errorf("a new file has %s", got)
	}
	for _, prompt := range []string{"first\x00\xff", "second"} {
		kept, err := s.PutSessionPrompt(t.Context(), "a", prompt, store.PromptLimits{})
		if err != nil || kept != "first\x00\xff" {
			t.Errorf("kept %q, %v", kept, err)
		}
	}
	must(t, s.Close())
	if got := prompts(t, reopen(t, path, store.Options{}), "a", "b"); got != "a=first\x00\xff" {
		t.Errorf("after a restart: %q", got)
	}
}

func TestPromptsOfOneSessionAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	kept := make([]string, 8)
	var wg sync.WaitGroup
	for i := range kept {
		s := reopen(t, path, store.Options{})
		wg.Go(func() {
			var err error
			if kept[i], err = s.PutSessionPrompt(t.Context(), "a", fmt.Sprint(i), store.PromptLimits{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, prompt := range kept {
		if prompt != kept[0] {
			t.Fatalf("two prompts for one session: %q", kept)
		}
	}
}

func TestPromptsAreBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		limits store.PromptLimits
		want   string
	}{
		{"number", store.PromptLimits{Sessions: 2}, "a=aaaa d=dddd"},
		{"size", store.PromptLimits{Bytes: 11}, "a=aaaa d=dddd"},
		{"age", store.PromptLimits{Age: 90 * time.Minute}, "a=aaaa d=dddd"},
		{"nothing of it", store.PromptLimits{}, "a=aaaa b=bbbb c=cccc d=dddd"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			now := start()
			s := reopen(t, filepath.Join(t.TempDir(), "state.db"), store.Options{Now: func() time.Time { return now }})
			for _, session := range []string{"a", "b", "c"} {
				_, err := s.PutSessionPrompt(t.Context(), session, strings.Repeat(session, 4), store.PromptLimits{})
				must(t, err)
				now = now.Add(time.Minute)
			}
			now = now.Add(2 * time.Hour)
			prompts(t, s, "a") // which makes it the latest
			now = now.Add(time.Minute)
			_, err := s.PutSessionPrompt(t.Context(), "d", "dddd", test.limits)
			must(t, err)
			if got := prompts(t, s, "a", "b", "c", "d"); got != test.want {
				t.Errorf("kept %q, want %q", got, test.want)
			}
		})
	}
}
