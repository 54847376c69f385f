package api_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/store"
)

// discarded is a client that takes everything at once.
type discarded struct {
	header http.Header
	pieces int // flushes
}

func (d *discarded) Header() http.Header { return d.header }

func (d *discarded) WriteHeader(int) {}

func (d *discarded) Write(p []byte) (int, error) { return len(p), nil }

func (d *discarded) Flush() { d.pieces++ }

func (d *discarded) SetWriteDeadline(time.Time) error { return nil }

// send sends a request without a network. The answer's status is 200.
func send(b *testing.B, handler http.Handler, w http.ResponseWriter, method, path, body string) {
	b.Helper()
	r := httptest.NewRequestWithContext(b.Context(), method, "http://127.0.0.1:8642"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+testKey)
	handler.ServeHTTP(w, r)
}

// benched is a server with a database of its own. Its ids are 1, 2, ….
func benched(b *testing.B, runner api.Runner) (*api.Server, *store.Store) {
	b.Helper()
	s := store.Open(filepath.Join(b.TempDir(), "state.db"), store.Options{})
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	opts := fixed(runner)
	opts.Store, opts.Now = s, nil
	n := 0
	opts.NewID = func() string { n++; return fmt.Sprint(n) }
	return api.New(opts), s
}

// responded makes a response and returns its id.
func responded(b *testing.B, handler http.Handler, body string) string {
	b.Helper()
	w := httptest.NewRecorder()
	send(b, handler, w, http.MethodPost, "/v1/responses", body)
	id := regexp.MustCompile(`"id":"(resp_[^"]+)"`).FindStringSubmatch(w.Body.String())
	if w.Code != http.StatusOK || id == nil {
		b.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return id[1]
}

// BenchmarkResponse makes a response, alone and behind 20 stored ones in each of
// which a tool ran. One op is all that is done for it but the agent's and the
// network's work: two transactions, of which the second waits for the disk.
func BenchmarkResponse(b *testing.B) {
	for _, before := range []int{0, 20} {
		for _, stream := range []bool{false, true} {
			b.Run(fmt.Sprintf("behind=%d/stream=%t", before, stream), func(b *testing.B) {
				var heard listener
				server, s := benched(b, runs(heard.run))
				follow := ""
				for range before {
					follow = fmt.Sprintf(`,"previous_response_id":%q`, responded(b, server, `{"input":"tool"`+follow+`}`))
				}
				body := fmt.Sprintf(`{"input":"hello","stream":%t%s}`, stream, follow)
				b.ReportAllocs()
				for b.Loop() {
					id := responded(b, server, body)
					b.StopTimer() // the next one is to find what this one found
					heard.turns = heard.turns[:0]
					send(b, server, httptest.NewRecorder(), http.MethodDelete, "/v1/responses/"+id, "")
					if err := s.Checkpoint(b.Context()); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	}
}

// BenchmarkDeltas sends an answer of 1000 pieces from the agent through the
// handler to a client that takes each at once. One op is a piece.
func BenchmarkDeltas(b *testing.B) {
	const pieces = 1000
	var event agent.Event = agent.Text{JSON: []byte(`" a few words"`)}
	answer := make([]agent.Event, pieces)
	for i := range answer {
		answer[i] = event
	}
	for name, request := range map[string][2]string{
		"chat":      {"/v1/chat/completions", helloSSE},
		"responses": {"/v1/responses", `{"input":"hello","stream":true,"store":false}`},
	} {
		b.Run(name, func(b *testing.B) {
			server, _ := benched(b, script(answer, answered(strings.Repeat(" a few words", pieces)), nil))
			b.ReportAllocs()
			for n := 0; n < b.N; n += pieces {
				w := &discarded{header: http.Header{}}
				send(b, server, w, http.MethodPost, request[0], request[1])
				if w.pieces < pieces {
					b.Fatalf("%d flushes for %d pieces", w.pieces, pieces)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deltas/s")
		})
	}
}
