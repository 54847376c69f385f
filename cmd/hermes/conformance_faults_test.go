package main_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// anyStatus is for errors in the middle of a stream.
const anyStatus = -1

// fails checks an error.
func (got saw) fails(t *testing.T, name string, status int, code, message string) {
	t.Helper()
	if got.Error == nil {
		t.Fatalf("no error, but %q; want %s", got.Text, name)
	}
	if status == anyStatus {
		status = got.Error.Status
	}
	if e := got.Error; e.Name != name || e.Status != status || fmt.Sprint(e.Code) != code || !strings.Contains(e.Message, message) {
		t.Errorf("error %+v, want %s, status %d, code %q, %q in the message", *e, name, status, code, message)
	}
}

func (r run) refused(t *testing.T) {
	got := r.ask(t, wish{Messages: []string{"hi"}, Key: "not-the-key-of-anybody"})
	got.fails(t, r.raises.key, http.StatusUnauthorized, "invalid_api_key", "API_SERVER_KEY")
	hot := 9.0
	got = r.ask(t, wish{Messages: []string{"hi"}, Temperature: &hot})
	got.fails(t, r.raises.value, http.StatusBadRequest, "invalid_value", "temperature must be from 0 to 2, not 9")
}

func (r run) failed(t *testing.T) {
	got, broken := r.ask(t, wish{Messages: []string{"fail 400"}}), r.ask(t, wish{Messages: []string{"break half"}})
	if r.form == "json" {
		got.fails(t, r.raises.upstream, http.StatusBadGateway, "upstream_bad_request", "model answered 400")
		broken.fails(t, r.raises.upstream, http.StatusBadGateway, "upstream_overloaded", "The model broke down.")
		return
	}
	// A stream has begun with status 200; some libraries make up another one.
	early, late := "upstream_bad_request", "upstream_overloaded"
	if r.responses {
		early, late = "server_error", "server_error" // the API has a list of them
	}
	got.fails(t, r.raises.early, anyStatus, early, "model answered 400")
	broken.fails(t, r.raises.broken, anyStatus, late, "The model broke down.")
	if broken.Text != "half" {
		t.Errorf("text %q before the error, want what the model had said", broken.Text)
	}
}

// A client that gives up stops the model and the tools at once, and may ask again,
// even the same.
func (r run) aborts(t *testing.T) {
	file := r.form + "-begun.txt"
	mark := mark()
	for n := range 2 {
		r.start(t, wish{Messages: []string{"run `echo begun >> " + file + "; sleep " + mark + "`"}, Abort: true})
		eventually(t, patience, "the tool runs", func() bool { return len(r.lines(t, file)) > n })
		r.abort(t)
		eventually(t, promise(2*time.Second), "the tool is gone", func() bool { return len(processes(t, mark)) == 0 })
		r.gaveUp(t)
	}
	r.start(t, wish{Messages: []string{"hang on"}, Abort: true})
	eventually(t, patience, "the model is asked", func() bool { return r.model.Open() == 1 })
	r.abort(t)
	eventually(t, promise(2*time.Second), "the model is left", func() bool { return r.model.Open() == 0 })
	r.gaveUp(t)

	if r.form == "stream" && !r.drains {
		got := r.ask(t, wish{Messages: []string{"hang on"}, Leave: true})
		if got.Error != nil || got.Text != "on" {
			t.Errorf("a client that leaves its loop saw %q, %+v", got.Text, got.Error)
		}
		eventually(t, promise(2*time.Second), "the model is left", func() bool { return r.model.Open() == 0 })
	}
	if got := r.chat(t, "say still here"); got.Text != "still here" {
		t.Errorf("the next turn says %q", got.Text)
	}
}

// gaveUp checks what a client sees that has given up: its own wish, as an error
// or as a stream that just ends, but no answer.
func (r run) gaveUp(t *testing.T) {
	t.Helper()
	got := r.end(t)
	quiet := got.Error == nil && r.form == "stream" && r.raises.abort == "APIUserAbortError"
	if got.Finish != "" || !quiet && (got.Error == nil || got.Error.Name != r.raises.abort) {
		t.Errorf("a client that gave up saw %q, finish %q, %+v, want %s", got.Text, got.Finish, got.Error, r.raises.abort)
	}
}

// What fails for a while is asked again, by hermes and then by the library.
func (r run) retry(t *testing.T) {
	if r.form != "json" {
		t.Skip("the status of a stream is 200")
	}
	got := r.ask(t, wish{Messages: []string{"flaky 3 recovered"}, Retries: 1})
	r.whole(t, got)
	if got.Text != "recovered" {
		t.Errorf("text %q", got.Text)
	}
}

// A turn that fails after its tools have run is not run again.
func (r run) noToolTwice(t *testing.T) {
	file := r.form + "-once.txt"
	got := r.ask(t, wish{Messages: []string{"run `echo once >> " + file + "`\nfail 503"}, Retries: 1})
	if got.Error == nil {
		t.Errorf("no error, but %q", got.Text)
	}
	if n := len(r.lines(t, file)); n != 1 {
		t.Errorf("the tool ran %d times", n)
	}
}

// Nor is a turn whose worker died after a tool had begun: libraries send a request
// again that found no answer.
func (r run) crash(t *testing.T) {
	r.start(t, wish{Messages: []string{"run `echo once >> crash.txt; sleep 60`"}, Retries: 1})
	eventually(t, patience, "the tool runs", func() bool { return len(r.lines(t, "crash.txt")) > 0 })
	if err := syscall.Kill(r.gateway.worker(r.person), syscall.SIGKILL); err != nil {
		t.Fatal("kill the worker: ", err)
	}
	if got := r.end(t); got.Error == nil {
		t.Errorf("no error, but %q", got.Text)
	}
	if n := len(r.lines(t, "crash.txt")); n != 1 {
		t.Errorf("the tool ran %d times", n)
	}
	if got := r.chat(t, "say still here"); got.Text != "still here" {
		t.Errorf("the next turn says %q", got.Text)
	}
}

var refusedTurns = regexp.MustCompile(`hermes_turns_refused_total\{reason="turns_per_minute"\} (\d+)`)

// A library that is turned away for a moment waits as long as it is told to. It
// has to be turned away first, which takes luck on a slow machine: a pause of two
// seconds gives it a turn.
func (r run) rateLimit(t *testing.T) {
	refused := func() string {
		_, body := r.person.get(t, "/metrics")
		return refusedTurns.FindString(body)
	}
	for range 10 {
		for status := 0; status != http.StatusTooManyRequests; {
			status, _ = r.person.answer(t, "say hello")
		}
		before := refused()
		got := r.ask(t, wish{Messages: []string{"say welcome"}, Retries: 2})
		r.whole(t, got)
		if got.Text != "welcome" {
			t.Errorf("text %q", got.Text)
		}
		if refused() != before {
			return
		}
	}
	t.Error("the client was never refused")
}

func (r run) cancel(t *testing.T) {
	got := r.ask(t, wish{Do: "cancel", Messages: []string{"hang on"}})
	if got.Begun != "queued" && got.Begun != "in_progress" || got.Finish != "cancelled" || !slices.Equal(got.Texts, []string{"hang on"}) {
		t.Errorf("it was %s, then %s, and its input is %q", got.Begun, got.Finish, got.Texts)
	}
	got.fails(t, "NotFoundError", http.StatusNotFound, "not_found", "")
	eventually(t, promise(2*time.Second), "the model is left", func() bool { return r.model.Open() == 0 })
}

// A turn that follows none that exists is refused before any stream begins.
func (r run) orphan(t *testing.T) {
	got := r.ask(t, wish{Do: "orphan"})
	got.fails(t, "NotFoundError", http.StatusNotFound, "previous_response_not_found", "previous response")
	if got.Error.Param != "previous_response_id" {
		t.Errorf("param is %v", got.Error.Param)
	}
}
