package api_test

import (
	"context"
	"strings"
	"testing"

	"hermes/worker/agent"
	"hermes/worker/api"
)

func TestSettingsChangeAtTheNextRequest(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	capabilities := func(key string) string {
		return call(t, server, "GET", "/v1/capabilities", "", "Authorization: Bearer "+key).body
	}
	if got := capabilities(testKey); !strings.Contains(got, `"max_concurrent_turns":10`) || !strings.Contains(got, `"on_disconnect":"cancel"`) {
		t.Fatal("before: ", got)
	}
	server.Apply(api.Settings{
		KeySHA256: digest("another-long-key"), MaxConcurrentRuns: 3, OnDisconnect: api.Detach, ToolProgress: "off",
		CORSOrigins: []string{"https://chat.example/"}, Limits: api.Limits{TurnsPerMinute: 2, TokensPerDay: 9},
	})
	got := capabilities("another-long-key")
	for _, want := range []string{`"max_concurrent_turns":3`, `"on_disconnect":"detach"`, `"setting":"off"`, `"cors":true`, `"turns_per_minute":2`, `"tokens_per_day":9`} {
		if !strings.Contains(got, want) {
			t.Errorf("capabilities lack %s: %s", want, got)
		}
	}
	if got := call(t, server, "GET", "/v1/models", "", "Authorization: Bearer another-long-key", "Origin: https://chat.example"); got.header.Get("Access-Control-Allow-Origin") != "https://chat.example" {
		t.Errorf("a new origin is not let in: %d %v", got.status, got.header)
	}
}

func TestALimitThatIsRaisedLetsThoseInThatWait(t *testing.T) {
	t.Parallel()
	begun, end := make(chan struct{}, 3), make(chan struct{})
	opts := fixed(runs(func(context.Context, agent.Turn, func(agent.Event) error) (agent.Result, error) {
		begun <- struct{}{}
		<-end
		return answered("hi"), nil
	}))
	opts.MaxConcurrentRuns = 1
	server := api.New(opts)
	answers := make(chan int, 3)
	for range 3 {
		go func() {
			answers <- call(t, server, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}]}`).status
		}()
	}
	<-begun
	select {
	case <-begun:
		t.Fatal("two run although one may")
	default:
	}
	raised := opts.Settings
	raised.MaxConcurrentRuns = 3
	server.Apply(raised)
	<-begun
	<-begun
	close(end)
	for range 3 {
		if status := <-answers; status != 200 {
			t.Errorf("status %d", status)
		}
	}
}
