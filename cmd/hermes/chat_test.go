package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hermes/configs"
	"hermes/profiles"
)

// took is how long a tool ran, in a line about it.
var took = regexp.MustCompile(`\d+\.\ds\b`)

// quoted is text as JSON.
func quoted(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return string(data)
}

// event is an event of a response's stream.
func event(kind, fields string) string {
	return fmt.Sprintf("event: %s\ndata: {\"type\":%q,%s}\n\n", kind, kind, fields)
}

// chunk is an event with text of the answer in it.
func chunk(text string) string { return event("response.output_text.delta", `"delta":`+quoted(text)) }

const (
	created = `event: response.created` + "\n" + `data: {"type":"response.created","response":{"id":"resp_1","status":"in_progress","error":null,"incomplete_details":null}}` + "\n\n"
	done    = "data: [DONE]\n\n"
)

// finish ends a stream.
func finish(kind, fields string) string {
	return event("response."+kind, `"response":{"id":"resp_1","status":"`+kind+`",`+fields+`}`) + done
}

func finishStop() string { return finish("completed", `"error":null,"incomplete_details":null`) }

// began and ended are the events of a call of a tool.
func began(id, name, label string) string {
	return event("response.output_item.added", `"output_index":0,"item":{"type":"mcp_call","id":"`+id+`","status":"in_progress","name":"`+name+
		`","arguments":"","output":null,"error":null},"event":{"type":"status","data":{"description":`+quoted(label)+`,"done":false}}`)
}

func over(id, name, status, output string) string {
	return event("response.output_item.done", `"output_index":0,"item":{"type":"mcp_call","id":"`+id+`","status":"`+status+`","name":"`+name+
		`","arguments":"{}","output":`+quoted(output)+`,"error":null}`)
}

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
	pwd := began("1", "terminal", "💻 pwd")
	ran := over("1", "terminal", "completed", "/")
	tests := []struct {
		name             string
		stream           string
		tty, quiet       bool
		out, err, failed string
	}{
		{name: "text", stream: created + chunk("Hel") + ": keepalive\n\n" + chunk("lo") + finishStop(), out: "Hello\n"},
		{name: "ends in a line break", stream: chunk("Hello\n") + finishStop(), out: "Hello\n"},
		{name: "tool, piped", stream: pwd + ran + chunk("done") + finishStop(), out: "done\n", err: "💻 pwd\n"},
		{name: "tool, piped, quiet", quiet: true, stream: pwd + ran + chunk("done") + finishStop(), out: "done\n"},
		{name: "tool fails, piped", stream: pwd + over("1", "terminal", "failed", "") + finishStop(), err: "💻 pwd\n💻 pwd  ✗ 0.0s\n"},
		{
			name: "text, tools, text", stream: chunk("Let me ") + chunk("look.") + pwd + ran + began("2", "terminal", "💻 ls") + chunk("\nDone") + chunk(".") + finishStop(),
			out: "Let me look.\n\nDone.\n", err: "💻 pwd\n💻 ls\n",
		},
		{name: "tool, on a terminal", tty: true, stream: pwd + ran + chunk("done") + finishStop(), out: "done\n", err: "💻 pwd\r\x1b[K💻 pwd  0.0s\n"},
		{
			name: "tool fails, on a terminal", tty: true, stream: pwd + over("1", "terminal", "failed", "") + finishStop(),
			err: "💻 pwd\r\x1b[K💻 pwd  ✗ 0.0s\n",
		},
		{
			name: "two tools at once", tty: true, stream: pwd + began("2", "terminal", "💻 ls") + over("2", "terminal", "completed", "") + ran + chunk("done") + finishStop(), out: "done\n",
			err: "💻 pwd\r\x1b[K💻 pwd\n💻 ls\r\x1b[K💻 ls  0.0s\n💻 pwd  0.0s\n",
		},
		{name: "a label that draws", tty: true, stream: began("1", "terminal", "💻 a\u001b[2Jb\u202e"), err: "💻 a[2Jb\r\x1b[K💻 a[2Jb\n", failed: "the answer was cut off"},
		{
			name: "tasks", tty: true, stream: began("1", "todo", "📋 plan") + over("1", "todo", "completed", "2 tasks: 1 completed\na: [completed] wash\nb: [in_progress] dry\n") + finishStop(),
			err: "📋 plan\r\x1b[K📋 plan  0.0s\n  ☑ wash\n  ▶ dry\n",
		},
		{name: "Markdown in a pipe is as it is", stream: chunk("**a** \u001b[1m") + finishStop(), out: "**a** \x1b[1m\n"},
		{name: "Markdown without colours is as it is", tty: true, stream: chunk("# **a**") + finishStop(), out: "# **a**\n"},
		{name: "escapes, on a terminal", tty: true, stream: chunk("a\u202eb\u001b]0;t\u0007") + finishStop(), out: "ab]0;t\n"},
		{
			name: "too long", stream: chunk("hi") + finish("incomplete", `"error":null,"incomplete_details":{"reason":"max_output_tokens"}`), out: "hi\n",
			err: "hermes: the answer is cut: it reached the model's limit of length\n",
		},
		{name: "cut", stream: created + chunk("hal"), out: "hal\n", failed: "the answer was cut off"},
		{name: "ended without an end", stream: chunk("hal") + done, out: "hal\n", failed: "the answer was cut off"},
		{name: "failed", stream: chunk("hal") + event("error", `"message":"upstream is gone"`), out: "hal\n", failed: "the turn failed: upstream is gone"},
		{name: "failed, told once", stream: finish("failed", `"error":{"message":"upstream is gone"},"incomplete_details":null`), failed: "the turn failed: upstream is gone"},
		{name: "cancelled", stream: finish("incomplete", `"error":null,"incomplete_details":{"reason":"cancelled"}`), failed: "the turn was cancelled"},
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
			talk.quiet = test.quiet
			err := talk.say(t.Context(), "hello")
			if (err != nil) != (test.failed != "") || err != nil && !strings.Contains(err.Error(), test.failed) {
				t.Errorf("error is %v, want %q", err, test.failed)
			}
			told := took.ReplaceAllString(stderr.String(), "0.0s")
			if out.String() != test.out || told != test.err {
				t.Errorf("printed %q and %q, want %q and %q", out, told, test.out, test.err)
			}
		})
	}
}

func TestChatDrawsMarkdownOnATerminal(t *testing.T) {
	t.Parallel()
	a, out, _ := newTestApp(t)
	a.outTTY = true
	talk := talkTo(t, a, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, chunk("a **b")+chunk("old")+chunk("** c\u001b[2J")+finishStop())
	})
	if err := talk.say(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "a \x1b[1mbold\x1b[0m c[2J\n"; got != want {
		t.Errorf("drew %q, want %q", got, want)
	}
}

func TestChatPrintsTheWholeResponse(t *testing.T) {
	t.Parallel()
	for body, failed := range map[string]string{
		`{"id":"resp_1","status":"completed","error":null,"incomplete_details":null,"output":[]}`:    "",
		`{"id":"resp_1","status":"failed","error":{"message":"it broke"},"incomplete_details":null}`: "the turn failed: it broke",
		`{"id":`: "read answer",
	} {
		a, out, _ := newTestApp(t)
		talk := talkTo(t, a, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
		talk.json = true
		err := talk.say(t.Context(), "hello")
		if (err != nil) != (failed != "") || err != nil && !strings.Contains(err.Error(), failed) {
			t.Errorf("%s: error is %v, want %q", body, err, failed)
		}
		if json.Valid([]byte(body)) != json.Valid(out.Bytes()) {
			t.Errorf("printed %q", out)
		}
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
		{"wrong key", 401, `{"error":{"message":"bad key","type":"t","param":null,"code":"invalid_api_key"}}`, []string{"alice", "401", "gateway reload"}},
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

func TestChatLoopObeysItsCommands(t *testing.T) {
	t.Parallel()
	a, out, stderr := newTestApp(t)
	a.in, a.inTTY = strings.NewReader("/help\nfirst\n\n/tmp\n//tmp\n/tmp/x is full\ntwo \\\nlines\n/new\nafter\n/exit\nnever\n"), true
	var inputs, names []string
	talk := talkTo(t, a, func(w http.ResponseWriter, r *http.Request) {
		var got wish
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || !got.Stream || got.Model != "alice" {
			t.Errorf("the request is %+v, %v", got, err)
		}
		inputs, names = append(inputs, got.Input), append(names, got.Conversation)
		fmt.Fprint(w, chunk("answer")+finishStop())
	})
	talk.name, talk.profile.Dir = "work", t.TempDir()
	if err := (&chatOptions{app: a}).loop(t.Context(), talk); err != nil {
		t.Fatal(err)
	}
	if want := []string{"first", "/tmp", "/tmp/x is full", "two \nlines", "after"}; !slices.Equal(inputs, want) {
		t.Errorf("sent %q, want %q", inputs, want)
	}
	if len(names) != 5 || names[0] != "work" || names[3] != "work" || !strings.HasPrefix(names[4], "chat-") {
		t.Errorf("the conversations are %q", names)
	}
	if got := strings.Count(out.String(), "answer\n"); got != 5 {
		t.Errorf("%d answers:\n%s", got, out)
	}
	for _, want := range []string{"session work", "/sessions   list", "there is no command /tmp", "New session chat-"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is not said:\n%s", want, stderr)
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
