package egress

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hermes/supervisor/egress/wire"
)

// BenchmarkEgress asks a server directly and through the process, in turn, and
// reports medians: a request of 4 KB; a stream of 1,000 chunks that come as fast as
// they are taken, by the chunk; a body of 64 MB, in MB a second; and 50 streams side by
// side with a chunk every 2 ms, which is faster than any model, in chunks a second of
// all of them.
func BenchmarkEgress(b *testing.B) {
	chunk := []byte("data: " + strings.Repeat("x", 320) + "\n\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			flush := http.NewResponseController(w)
			for range 1000 {
				_, _ = w.Write(chunk)
				_ = flush.Flush()
			}
		case "/paced":
			flush, ticker := http.NewResponseController(w), time.NewTicker(2*time.Millisecond)
			defer ticker.Stop()
			for range 200 {
				<-ticker.C
				_, _ = w.Write(chunk)
				_ = flush.Flush()
			}
		case "/large":
			for range 64 {
				_, _ = w.Write(make([]byte, 1<<20))
			}
		default:
			fmt.Fprint(w, strings.Repeat("y", 500))
		}
	}))
	defer server.Close()
	table := Table{Upstreams: []Upstream{{
		Name: "m", Origin: server.URL, Headers: map[string]string{"Authorization": "Bearer x"},
		Endpoints: []Endpoint{{Method: "POST", Path: "/ask", Model: true}, {Method: "POST", Path: "/stream", Model: true}, {Method: "POST", Path: "/large", Model: true}, {Method: "POST", Path: "/paced", Model: true}},
	}}}
	through := process(b, table)
	direct := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true}}
	defer direct.CloseIdleConnections()
	body := bytes.Repeat([]byte("z"), 4096)
	ask := func(client *http.Client, path string) float64 {
		began := time.Now()
		resp, err := client.Post(server.URL+path, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			b.Fatal(err)
		}
		return float64(time.Since(began).Nanoseconds())
	}
	compare := func(path string, rounds int) (alone, added float64) {
		var one, two []float64
		for range rounds {
			one, two = append(one, ask(direct, path)), append(two, ask(through, path))
		}
		slices.Sort(one)
		slices.Sort(two)
		return one[len(one)/2], two[len(two)/2]
	}
	// side is how many chunks a second arrive of all streams.
	side := func(client *http.Client) float64 {
		began := time.Now()
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				resp, err := client.Post(server.URL+"/paced", "application/json", bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				defer resp.Body.Close()
				if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(200*len(chunk)) {
					b.Errorf("a stream had %d bytes, %v", n, err)
				}
			})
		}
		wg.Wait()
		return 50 * 200 / time.Since(began).Seconds()
	}
	for b.Loop() {
		compare("/ask", 50) // both are warm
		alone, with := compare("/ask", 1000)
		b.ReportMetric(alone/1e3, "µs/request-direct")
		b.ReportMetric(with/1e3, "µs/request-egress")
		alone, with = compare("/stream", 20)
		b.ReportMetric(alone/1e6, "µs/chunk-direct")
		b.ReportMetric(with/1e6, "µs/chunk-egress")
		alone, with = compare("/large", 5)
		b.ReportMetric(64e9/alone*1.048576, "MB/s-direct")
		b.ReportMetric(64e9/with*1.048576, "MB/s-egress")
		b.ReportMetric(side(direct), "chunks/s-paced-direct")
		b.ReportMetric(side(through), "chunks/s-paced-egress")
	}
}

// process is a client through the process itself.
func process(b *testing.B, table Table) *http.Client {
	b.Helper()
	worker, far, err := wire.Pair()
	if err != nil {
		b.Fatal(err)
	}
	control, theirs, err := ControlPair()
	if err != nil {
		b.Fatal(err)
	}
	cmd := command(theirs)
	cmd.Stdout, cmd.Stderr = io.Discard, os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	theirs.Close()
	if err := control.Send(Order{Do: DoServe, ID: 1, Profile: "alice", Table: &table}, far, patience); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		worker.Close()
		control.Close()
		_ = cmd.Wait()
		far.Close()
	})
	return &http.Client{Transport: wire.NewDoor(int(worker.Fd())).Upstream("m")}
}
