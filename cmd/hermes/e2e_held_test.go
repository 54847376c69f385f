package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hermes/worker/llm/llmtest"
)

// heldPieces are those of a held stream, one every heldPause, of which the last ones
// come when it may end.
const (
	heldPieces, heldBack = 200, 50
	heldPause            = 25 * time.Millisecond
)

// holds has what answers held streams: by the number of each group of them a channel
// that is closed when they may end.
var (
	holds    sync.Map
	lastHeld atomic.Int64
)

// holding makes a model that obeys one command more: "held 7" is a stream that goes on
// until the test lets it end, however long that takes what happens meanwhile.
func holding(answer func(llmtest.Call) llmtest.Reply) func(llmtest.Call) llmtest.Reply {
	return func(call llmtest.Call) llmtest.Reply {
		var number int64
		if n, _ := fmt.Sscanf(call.LastUser(), "held %d", &number); n < 1 {
			return answer(call)
		}
		end, found := holds.Load(number)
		if !found {
			return llmtest.Text("this stream is over")
		}
		gate := make(chan struct{})
		go feed(gate, end.(chan struct{}))
		return llmtest.Reply{Chunks: heldChunks(), Gate: gate}
	}
}

func heldChunks() []string {
	chunks := make([]string, heldPieces)
	for i := range chunks {
		chunks[i] = fmt.Sprintf("%7d ", i)
	}
	return chunks
}

// feed lets a piece through every now and then, and the rest when the end may come.
func feed(gate chan<- struct{}, end <-chan struct{}) {
	defer close(gate)
	tick := time.NewTicker(heldPause)
	defer tick.Stop()
	for range heldPieces - heldBack {
		select {
		case <-tick.C:
		case <-end:
			return
		}
		select {
		case gate <- struct{}{}:
		case <-end:
			return
		}
	}
	<-end
}

// streams opens streams that are under way until what it returns is called, which waits
// for their ends and compares every byte.
func (p person) streams(t *testing.T, number int) (wait func()) {
	t.Helper()
	id, end := lastHeld.Add(1), make(chan struct{})
	holds.Store(id, end)
	release := sync.OnceFunc(func() { close(end) })
	t.Cleanup(release)
	var reading sync.WaitGroup
	want := strings.Join(heldChunks(), "")
	for range number {
		resp, err := p.ask(t.Context(), fmt.Sprintf("held %d", id), true)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("a stream begins with %s", resp.Status)
		}
		reading.Go(func() {
			defer resp.Body.Close()
			if got, err := content(resp.Body); err != nil || got != want {
				t.Errorf("a stream was touched: %d of %d bytes, %v", len(got), len(want), err)
			}
		})
	}
	return func() {
		release()
		reading.Wait()
	}
}
