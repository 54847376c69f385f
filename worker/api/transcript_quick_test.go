package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
	"hermes/worker/openai"
)

// slowMemory is Transcripts that take their time to write.
type slowMemory struct {
	*memory
	write chan struct{}
}

func (s slowMemory) Put(ctx context.Context, hash []byte, turn api.KeptTurn) error {
	<-s.write
	return s.memory.Put(ctx, hash, turn)
}

// Who asks again before the name of the session is written finds it all the same.
func TestAQuickClientStaysInItsSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var heard listener
		kept := slowMemory{newMemory(), make(chan struct{})}
		opts := fixed(runs(heard.run))
		opts.Transcripts, opts.NewID, opts.ToolProgress = kept, nil, "off"
		server := api.New(opts)
		call(t, server, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"}]}`)
		first := heard.last().SessionID
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			call(t, server, "POST", "/v1/chat/completions",
				`{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"answer 1"},{"role":"user","content":"on"}]}`)
		}()
		synctest.Wait()
		close(kept.write)
		<-answered
		server.Settled()
		if got := heard.last().SessionID; first == "" || got != first {
			t.Errorf("the second turn is in session %q, the first in %q", got, first)
		}
	})
}

// A turn that showed more than there is room for comes back without its images; its
// calls and words, and what was before it, come back all the same.
func TestATurnWithManyImagesComesBack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		bytes int
		shown bool
	}{{"as many as a turn may show", 11 << 20, true}, {"more", 13 << 20, false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			opts := fixed(nil)
			opts.Transcripts, opts.ToolProgress = m, "off"
			f := newFrontend(t, opts)
			f.send(t, says1("a"), worked(1))
			second := worked(2)
			second.Messages[1].Parts = append(second.Messages[1].Parts, llm.Part{ImageURL: "data:image/png;base64," + strings.Repeat("A", test.bytes)})
			f.send(t, says1("b"), second)
			f.send(t, says1("c"), answered("bye"))
			shown, noted := false, false
			for _, message := range f.seen {
				for _, part := range message.Parts {
					shown = shown || part.ImageURL != ""
					noted = noted || strings.Contains(part.Text, "An image that was shown here is left out")
				}
			}
			flat := strings.ReplaceAll(roles(f.seen), "\n[An image that was shown here is left out.]", "")
			if shown != test.shown || noted == test.shown || flat != truth1+" | "+truth2+" | user:c" {
				t.Errorf("shown: %v, noted: %v, %s", shown, noted, flat)
			}
			if kept, err := json.Marshal(f.seen); err != nil || len(kept) > 12<<20 {
				t.Errorf("the history has %d bytes (%v)", len(kept), err)
			}
		})
	}
}

// What a person said in a conversation stays there when they stop the answer before
// its first word.
func TestAConversationKeepsWhatWasStopped(t *testing.T) {
	t.Parallel()
	began := make(chan struct{})
	var heard listener
	server := api.New(stored(t, fixed(runs(func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
		if len(turn.History) > 1 {
			return heard.run(ctx, turn, emit)
		}
		close(began)
		<-ctx.Done()
		return agent.Result{}, context.Cause(ctx)
	}))))
	id := respond(t, server, `{"input":"plan a trip","conversation":"c","background":true}`).ID
	<-began
	if got := decodeResponse(t, call(t, server, "POST", "/v1/responses/"+id+"/cancel", "").body).Status; got != openai.StatusCancelled {
		t.Fatalf("it is %s", got)
	}
	respond(t, server, `{"input":"to Rome","conversation":"c"}`)
	if got, want := said(heard.last().History), "u:plan a trip a:(I was stopped before I could answer.) u:to Rome"; got != want {
		t.Errorf("the history is %s, want %s", got, want)
	}
	if got := decodeResponse(t, call(t, server, "GET", "/v1/responses/"+id, "").body); len(got.Output) != 0 {
		t.Errorf("the client is shown %s", kinds(got))
	}
}
