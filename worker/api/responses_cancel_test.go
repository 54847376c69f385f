package api_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"hermes/worker/api"
)

func TestCancelledResponses(t *testing.T) {
	t.Parallel()
	g := newGated()
	_, base := serve(t, stored(t, fixed(runs(g.run))))
	ctx := t.Context()
	id := decodeResponse(t, readAll(t, request(ctx, t, "POST", base+"/v1/responses", `{"input":"x","background":true,"conversation":"c"}`))).ID
	receive(t, g.began, "the turn")
	waiting := decodeResponse(t, readAll(t, request(ctx, t, "POST", base+"/v1/responses", `{"input":"y","background":true,"conversation":"c"}`))).ID
	follower := request(ctx, t, "GET", base+"/v1/responses/"+id+"?stream=true", "")

	for _, test := range []struct{ id, output string }{{waiting, ""}, {id, "function_call terminal, function_call_output The call was interrupted; its effects are unknown."}, {id, "function_call terminal, function_call_output The call was interrupted; its effects are unknown."}} {
		got := decodeResponse(t, readAll(t, request(ctx, t, "POST", base+"/v1/responses/"+test.id+"/cancel", "")))
		if got.Status != "cancelled" || kinds(got) != test.output {
			t.Errorf("it ended as %s, %s", got.Status, kinds(got))
		}
	}
	if err := receive(t, g.ended, "the end"); err == nil {
		t.Error("the turn went on")
	}
	if last := lastResponse(t, readAll(t, follower)); last.Status != "cancelled" {
		t.Errorf("a follower saw it end as %s", last.Status)
	}
	close(g.open)
	foreground := decodeResponse(t, readAll(t, request(ctx, t, "POST", base+"/v1/responses", `{"input":"z","conversation":"c"}`)))
	turn := receive(t, g.began, "a turn")
	if got := said(turn.History); got != "u:x a:stopped u:z" {
		t.Errorf("the conversation goes on with %q", got)
	}
	readAll(t, request(ctx, t, "POST", base+"/v1/responses", `{"input":"q","previous_response_id":"`+waiting+`"}`))
	if got := said(receive(t, g.began, "a turn").History); got != "u:y u:q" {
		t.Errorf("what follows one that never ran goes on with %q", got)
	}
	response := request(ctx, t, "POST", base+"/v1/responses/"+foreground.ID+"/cancel", "")
	if body := readAll(t, response); response.StatusCode != http.StatusBadRequest || !strings.Contains(body, "response_not_background") {
		t.Errorf("a response in the foreground: status %d: %s", response.StatusCode, body)
	}
}

// Deleting what runs in the background stops it, for good.
func TestDeletingStopsTheBackground(t *testing.T) {
	t.Parallel()
	g := newGated()
	_, base := serve(t, stored(t, fixed(runs(g.run))))
	ctx := t.Context()
	id := decodeResponse(t, readAll(t, request(ctx, t, "POST", base+"/v1/responses", `{"input":"x","background":true}`))).ID
	receive(t, g.began, "the turn")
	readAll(t, request(ctx, t, "DELETE", base+"/v1/responses/"+id, ""))
	if err := receive(t, g.ended, "the end"); err == nil {
		t.Error("the turn went on")
	}
	follow := request(ctx, t, "GET", base+"/v1/responses/"+id+"?stream=true", "")
	readAll(t, follow)
	if got := request(ctx, t, "GET", base+"/v1/responses/"+id, ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("it came back: %s", readAll(t, got))
	}
}

// A client in the foreground that goes stops its turn, and what there was is kept;
// with detach it is finished, and can be fetched.
func TestAClientOfAResponseThatGoes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		setting, status string
		stream          bool
	}{{"cancel", "cancelled", true}, {"cancel", "cancelled", false}, {"detach", "completed", true}, {"detach", "completed", false}} {
		t.Run(fmt.Sprint(test.setting, test.stream), func(t *testing.T) {
			t.Parallel()
			g := newGated()
			opts := stored(t, fixed(runs(g.run)))
			opts.OnDisconnect = test.setting
			_, base := serve(t, opts)
			ctx, leave := context.WithCancel(t.Context())
			answered := make(chan error, 1)
			go func() {
				response, err := tryRequest(ctx, "POST", base+"/v1/responses", fmt.Sprintf(`{"input":"x","stream":%v}`, test.stream))
				if err == nil {
					_, err = io.ReadAll(response.Body)
					response.Body.Close()
				}
				answered <- err
			}()
			turn := receive(t, g.began, "the turn")
			leave()
			if err := receive(t, answered, "the client"); err == nil {
				t.Error("the client got an answer")
			}
			if test.setting == "detach" {
				close(g.open)
			}
			if err := receive(t, g.ended, "the end"); (err == nil) != (test.setting == "detach") {
				t.Errorf("the turn ended with %v", err)
			}
			url := base + "/v1/responses/resp_" + strings.TrimPrefix(turn.RunID, "run_")
			if got := lastResponse(t, readAll(t, request(t.Context(), t, "GET", url+"?stream=true", ""))); got.Status != test.status {
				t.Errorf("it is stored as %s, want %s", got.Status, test.status)
			}
		})
	}
}

// A drain waits for the background as for everything else; one in a hurry ends it,
// and says so in what is stored.
func TestADrainWaitsForTheBackground(t *testing.T) {
	t.Parallel()
	for _, hurried := range []bool{false, true} {
		g := newGated()
		opts := stored(t, fixed(runs(g.run)))
		server, base := serve(t, opts)
		id := decodeResponse(t, readAll(t, request(t.Context(), t, "POST", base+"/v1/responses", `{"input":"x","background":true}`))).ID
		receive(t, g.began, "the turn")
		ctx, cancel := context.WithCancel(t.Context())
		drained := make(chan error, 1)
		go func() { drained <- server.Drain(ctx) }()
		status := "completed"
		if hurried {
			status = "failed"
			cancel()
		} else {
			close(g.open)
		}
		if err := receive(t, drained, "the drain"); err != nil {
			t.Errorf("drain: %v", err)
		}
		cancel()
		if len(g.ended) != 1 {
			t.Error("the drain was over before the turn")
		}
		stored, err := opts.Store.Response(context.Background(), id)
		if err != nil || stored.Status != status {
			t.Errorf("it is stored as %s (%v), want %s", stored.Status, err, status)
		}
	}
}

// What a cancellation answers is the end, also if the turn ends by itself at the
// same moment.
func TestACancellationBesideTheEnd(t *testing.T) {
	t.Parallel()
	g := newGated()
	opts := stored(t, fixed(runs(g.run)))
	disk := &reading{Store: opts.Store, after: func() {}}
	opts.Store = disk
	server := api.New(opts)
	id := respond(t, server, `{"input":"x","background":true}`).ID
	receive(t, g.began, "the turn")
	disk.after = sync.OnceFunc(func() {
		close(g.open)
		<-g.ended
		untilStored(t, disk.Store, id)
	})
	got := decodeResponse(t, call(t, server, "POST", "/v1/responses/"+id+"/cancel", "").body)
	if got.Status != "cancelled" && got.Status != "completed" {
		t.Errorf("the cancellation left it %s", got.Status)
	}
}
