package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"hermes/configs"
	"hermes/profiles"
)

// chunk is a chunk of an answer with the text in it.
func chunk(text string) string {
	return fmt.Sprintf(`data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":%s},"finish_reason":null}]}`+"\n\n",
		strconv.Quote(text))
}

const (
	finishStop   = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	finishLength = `data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}` + "\n\n"
	done         = "data: [DONE]\n\n"
)

// talkTo makes a conversation with a server that answers each request so.
func talkTo(t *testing.T, a *app, handler http.HandlerFunc) *conversation {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	talk := newConversation(a, profiles.Profile{Name: "alice"}, configs.APIServer{
		Enabled: true, Host: "127.0.0.1", Port: port, Key: configs.NewSecret("the-key"), ModelName: "alice",
	})
	talk.locate = func(context.Context) (configs.APIServer, error) { return talk.server, nil }
	return talk
}

func TestChatPrintsWhatComes(t *testing.T) {
	t.Parallel()
	const tool = "\n`💻 pwd`\n"
	event := `data: {"choices":[{"index":0,"delta":{},"finish_reason":null}],"tool":"terminal","emoji":"💻","label":"pwd","status":"running"}` + "\n\n"
	tests := []struct {
		name             string
		stream           string
		tty              bool
		out, err, failed string
	}{
		{name: "text", stream: chunk("Hel") + ": keepalive\n\n" + chunk("lo") + finishStop + done, out: "Hello\n"},
		{name: "ends in a line break", stream: chunk("Hello\n") + finishStop + done, out: "Hello\n"},
		{name: "tool, piped", stream: chunk(tool) + chunk("\ndone") + finishStop + done, out: "done\n"},
		{name: "text, tools, text", stream: chunk("Let me ") + chunk("look.") + chunk("\n"+tool) + chunk(tool) + chunk("\nDone") + chunk(".") + finishStop + done, out: "Let me look.\n\nDone.\n"},
		{name: "tool, on a terminal", tty: true, stream: chunk(tool) + chunk("done") + finishStop + done, out: "done\n", err: "💻 pwd\n"},
		{name: "tool as an event", tty: true, stream: event + chunk("done") + finishStop + done, out: "done\n", err: "💻 pwd\n"},
		{name: "code of the model is no tool", stream: chunk("\n`pwd`\n") + finishStop + done, out: "\n`pwd`\n"},
		{name: "escapes, on a terminal", tty: true, stream: chunk("a\u202eb") + finishStop + done, out: "ab\n"},
		{name: "usage chunk", stream: chunk("hi") + finishStop + `data: {"choices":[],"usage":{"total_tokens":3}}` + "\n\n" + done, out: "hi\n"},
		{name: "too long", stream: chunk("hi") + finishLength + done, out: "hi\n", err: "hermes: the answer is cut: it reached the model's limit of length\n"},
		{name: "cut", stream: chunk("hal"), out: "hal\n", failed: "the answer was cut off"},
		{name: "failed", stream: chunk("hal") + `data: {"error":{"message":"upstream is gone"}}` + "\n\n" + done, out: "hal\n", failed: "the turn failed: upstream is gone"},
		{name: "no JSON", stream: "data: hello\n\n", failed: "read answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, out, stderr := newTestApp(t)
			a.outTTY, a.errTTY = test.tty, test.tty
			a.environ = append(a.environ, "NO_COLOR=1")
			talk := talkTo(t, a, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "Bearer the-key" {
					t.Errorf("the key sent is %q", got)
				}
				w.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(w, test.stream)
			})
			err := talk.say(t.Context(), "hello")
			if (err != nil) != (test.failed != "") || err != nil && !strings.Contains(err.Error(), test.failed) {
				t.Errorf("error is %v, want %q", err, test.failed)
			}
			if out.String() != test.out || stderr.String() != test.err {
				t.Errorf("printed %q and %q, want %q and %q", out, stderr, test.out, test.err)
			}
		})
	}
}

func TestChatExplainsRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		want   []string
	}{
		{"wrong key", 401, `{"error":{"message":"bad key","type":"t","param":null,"code":"invalid_api_key"}}`, []string{"alice", "401", "started again"}},
		{"busy", 429, `{"error":{"message":"too many turns","type":"t","param":null,"code":null}}`, []string{"too many turns", "429", "in 7 s"}},
		{"upstream", 502, `{"error":{"message":"the model is gone","type":"t","param":null,"code":null}}`, []string{"the model is gone", "502"}},
		{"not hermes", 404, "<html>", []string{"404 Not Found"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a, _, _ := newTestApp(t)
			talk := talkTo(t, a, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			})
			err := talk.say(t.Context(), "hello")
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not hold %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "the-key") {
				t.Errorf("error %q holds the key", err)
			}
		})
	}
}

func TestChatKeepsTheConversation(t *testing.T) {
	t.Parallel()
	a, _, _ := newTestApp(t)
	a.in, a.inTTY = strings.NewReader("first\n\nsecond\n"), true
	var bodies []string
	talk := talkTo(t, a, func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := r.Body.Read(body); err != nil && err.Error() != "EOF" {
			t.Error(err)
		}
		bodies = append(bodies, string(body))
		fmt.Fprint(w, chunk("answer "+strconv.Itoa(len(bodies)))+finishStop+done)
	})
	if err := (&chatOptions{app: a}).loop(t.Context(), talk); err != nil {
		t.Fatal(err)
	}
	if len(bodies) != 2 {
		t.Fatalf("%d requests, want one for each message that is not empty", len(bodies))
	}
	for _, want := range []string{`"first"`, `"answer 1"`, `"second"`} {
		if !strings.Contains(bodies[1], want) {
			t.Errorf("the second request does not hold %s: %s", want, bodies[1])
		}
	}
}

func TestBaseURLIsOneThatThisMachineReaches(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"127.0.0.1":     "http://127.0.0.1:1/v1",
		"0.0.0.0":       "http://127.0.0.1:1/v1",
		"":              "http://127.0.0.1:1/v1",
		"::":            "http://[::1]:1/v1",
		"::1":           "http://[::1]:1/v1",
		"192.168.1.2":   "http://192.168.1.2:1/v1",
		"box.localhost": "http://box.localhost:1/v1",
	} {
		if got := baseURL(configs.APIServer{Host: host, Port: 1}); got != want {
			t.Errorf("baseURL of %q is %s, want %s", host, got, want)
		}
	}
}
