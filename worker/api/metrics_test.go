package api_test

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hermes/worker/agent"
	"hermes/worker/api"
	"hermes/worker/llm"
)

// scrape asks for the metrics and returns the samples by name and labels, as
// they are written.
func scrape(t *testing.T, server *api.Server) map[string]float64 {
	t.Helper()
	got := call(t, server, "GET", "/metrics", "")
	if kind := got.header.Get("Content-Type"); got.status != 200 || kind != "text/plain; version=0.0.4; charset=utf-8" {
		t.Fatalf("got %d %s: %s", got.status, kind, got.body)
	}
	return parseMetrics(t, got.body)
}

// parseMetrics reads the text format of Prometheus, version 0.0.4, and takes
// nothing that its description does not promise.
func parseMetrics(t *testing.T, text string) map[string]float64 {
	t.Helper()
	head := regexp.MustCompile(`^# (HELP|TYPE) ([a-z][a-z0-9_]*) (.+)$`)
	line := regexp.MustCompile(`^([a-z][a-z0-9_]*)(\{((?:[a-z]+="(?:[^"\\]|\\["\\n])*",?)+)\})? (\S+)$`)
	samples, kinds := map[string]float64{}, map[string]string{}
	name, kind := "", ""
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line does not end")
	}
	for row := range strings.Lines(text) {
		row = strings.TrimSuffix(row, "\n")
		if match := head.FindStringSubmatch(row); match != nil {
			if match[1] == "HELP" {
				if name, kind = match[2], ""; kinds[name] != "" {
					t.Errorf("%s comes twice", name)
				}
				continue
			}
			kind = match[3]
			kinds[name] = kind
			if match[2] != name || !slices.Contains([]string{"counter", "gauge", "histogram"}, kind) {
				t.Errorf("%q stands below the help of %s", row, name)
			}
			continue
		}
		match := line.FindStringSubmatch(row)
		if match == nil {
			t.Fatalf("this is no sample: %q", row)
		}
		value, err := strconv.ParseFloat(match[4], 64)
		sampled := match[1]
		if kind == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				sampled = strings.TrimSuffix(sampled, suffix)
			}
		}
		key := match[1] + match[2]
		_, twice := samples[key]
		if err != nil || kind == "" || sampled != name || twice || math.IsNaN(value) || kind != "gauge" && value < 0 {
			t.Errorf("wrong sample of %s %s: %q", kind, name, row)
		}
		if kind == "counter" && !strings.HasSuffix(name, "_total") {
			t.Errorf("the name of counter %s does not end in _total", name)
		}
		samples[key] = value
	}
	for name, kind := range kinds {
		if kind == "histogram" {
			checkHistogram(t, text, name, samples)
		}
	}
	return samples
}

// checkHistogram wants buckets that grow, and the last one to hold all.
func checkHistogram(t *testing.T, text, name string, samples map[string]float64) {
	t.Helper()
	lastBound, lastCount, buckets := math.Inf(-1), 0.0, 0
	for _, match := range regexp.MustCompile(`(?m)^`+name+`_bucket\{le="([^"]+)"\} (\S+)$`).FindAllStringSubmatch(text, -1) {
		bound, err := strconv.ParseFloat(match[1], 64)
		count, err2 := strconv.ParseFloat(match[2], 64)
		if err != nil || err2 != nil || bound <= lastBound || count < lastCount {
			t.Errorf("bucket %v of %s is out of order", match[1], name)
		}
		lastBound, lastCount, buckets = bound, count, buckets+1
	}
	if _, ok := samples[name+"_sum"]; !ok || buckets < 2 || !math.IsInf(lastBound, 1) || samples[name+"_count"] != lastCount {
		t.Errorf("%s has %d buckets, the last with %v of %v", name, buckets, lastCount, samples[name+"_count"])
	}
}

func TestMetricsOfTurns(t *testing.T) {
	t.Parallel()
	opts := fixed(nil)
	opts.Version = "1.2\"3\\"
	opts.Tools = []string{"terminal", "read_file"}
	opts.Limits = api.Limits{TokensPerDay: 1000, TurnsPerMinute: 4}
	clock := time.Unix(1_700_000_000, 0)
	opts.Now = func() time.Time { return clock }
	opts.Agent = both{
		run: func(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (agent.Result, error) {
			call := func(name string) llm.ToolCall { return llm.ToolCall{ID: "c", Name: name} }
			result := agent.Result{Usage: llm.Usage{Input: 100, Output: 20, Cached: 40, Reasoning: 5}}
			clock = clock.Add(3 * time.Second)
			switch turn.History[0].Text() {
			case "tools":
				emit(agent.ToolStarted{Call: call("terminal")})
				emit(agent.ToolFinished{Call: call("terminal"), Duration: 200 * time.Millisecond})
				emit(agent.ToolStarted{Call: call("terminal")})
				emit(agent.ToolFinished{Call: call("terminal"), Failed: true, Duration: 2 * time.Second})
				emit(agent.ToolStarted{Call: call("made up\"\n")})
				emit(agent.ToolFinished{Call: call("made up\"\n"), Failed: true})
				emit(text("done"))
			case "fail":
				emit(agent.ToolStarted{Call: call("read_file")})
				return result, &llm.Error{Class: llm.Network}
			case "panic":
				panic("oops")
			}
			clock = clock.Add(4 * time.Second)
			return result, nil
		},
		complete: says("a title"),
	}
	server := api.New(opts)
	before := scrape(t, server)
	if calls, ok := before[`hermes_tool_calls_total{tool="terminal",outcome="done"}`]; !ok || calls != 0 {
		t.Error("a tool that was not called yet has no counter")
	}
	for _, words := range []string{"tools", "fail", "panic", "plain"} {
		call(t, server, "POST", "/v1/chat/completions", strings.Replace(hello, "hello", words, 1))
	}
	call(t, server, "POST", "/v1/v1/chat/completions", helloSSE)
	call(t, server, "POST", "/chat/completions", hello, aTask)
	for range 3 { // too early
		call(t, server, "POST", "/v1/chat/completions", hello)
	}
	call(t, server, "GET", "/v1/models/bob", "")
	call(t, server, "GET", "/nothing%0a%22", "")
	call(t, server, "BREW", "/models/*", "")

	got := scrape(t, server)
	const done = 3
	const turns = done + 1 // and the one that failed; a panic has no result
	want := map[string]float64{
		`hermes_build_info{version="1.2\"3\\"}`:                              1,
		`hermes_turns_total{status="done"}`:                                  done,
		`hermes_turns_refused_total{reason="turns_per_minute"}`:              3,
		`hermes_turns_total{status="failed"}`:                                2,
		`hermes_turns_total{status="cancelled"}`:                             0,
		`hermes_turns_running`:                                               0,
		`hermes_turns_waiting`:                                               0,
		`hermes_turns_limit`:                                                 10,
		`hermes_turn_first_output_seconds_count`:                             2, // the others said nothing
		`hermes_turn_first_output_seconds_sum`:                               6,
		`hermes_turn_first_output_seconds_bucket{le="2.5"}`:                  0,
		`hermes_turn_first_output_seconds_bucket{le="5"}`:                    2,
		`hermes_turn_duration_seconds_count`:                                 done + 2,
		`hermes_turn_duration_seconds_bucket{le="5"}`:                        2,
		`hermes_turn_duration_seconds_bucket{le="10"}`:                       done + 2,
		`hermes_turn_wait_seconds_count`:                                     done + 2,
		`hermes_tasks_total{status="done"}`:                                  1,
		`hermes_input_tokens_total`:                                          turns*100 + 5,
		`hermes_cached_input_tokens_total`:                                   turns * 40,
		`hermes_output_tokens_total`:                                         turns*20 + 7,
		`hermes_reasoning_tokens_total`:                                      turns * 5,
		`hermes_day_tokens`:                                                  turns*120 + 12,
		`hermes_day_tokens_limit`:                                            1000,
		`hermes_tool_calls_total{tool="terminal",outcome="done"}`:            1,
		`hermes_tool_calls_total{tool="terminal",outcome="failed"}`:          1,
		`hermes_tool_calls_total{tool="other",outcome="failed"}`:             1,
		`hermes_tool_calls_total{tool="read_file",outcome="cancelled"}`:      1,
		`hermes_tool_duration_seconds_count`:                                 3,
		`hermes_tool_duration_seconds_sum`:                                   2.2,
		`hermes_http_requests_total{route="/models/*",status="404"}`:         1,
		`hermes_http_requests_total{route="/models/*",status="405"}`:         1,
		`hermes_http_requests_total{route="other",status="404"}`:             1,
		`hermes_http_requests_total{route="/metrics",status="200"}`:          1,
		`hermes_http_requests_total{route="/chat/completions",status="500"}`: 1,
		`hermes_http_requests_total{route="/chat/completions",status="502"}`: 1,
		`hermes_streams_open`:                                                0,
		`process_start_time_seconds`:                                         1_700_000_000,
	}
	for key, value := range want {
		if have, ok := got[key]; !ok || math.Abs(have-value) > 1e-9 {
			t.Errorf("%s is %v, want %v", key, have, value)
		}
	}
	if got["go_goroutines"] < 1 {
		t.Error("there are no goroutines")
	}
	if bytes, ok := got["process_resident_memory_bytes"]; ok && (bytes < 1<<20 || bytes > 1<<40) {
		t.Errorf("the process has %v bytes", bytes)
	}
}

func TestMetricsWhileTurnsRun(t *testing.T) {
	t.Parallel()
	opts := fixed(runs(slow))
	opts.MaxConcurrentRuns = 2
	inBubble(t, opts, func(b *bubble) {
		stream, whole := read(b.send(helloSSE)), read(b.send(hello))
		synctest.Wait()
		waits := read(b.send(hello))
		synctest.Wait()
		during := scrape(b.T, b.server)
		for key, want := range map[string]float64{"hermes_streams_open": 1, "hermes_turns_running": 2, "hermes_turns_waiting": 1} {
			if during[key] != want {
				b.Errorf("%s is %v, want %v", key, during[key], want)
			}
		}
		<-stream
		<-whole
		<-waits
		synctest.Wait()
		after := scrape(b.T, b.server)
		for _, key := range []string{"hermes_streams_open", "hermes_turns_running", "hermes_turns_waiting"} {
			if after[key] != 0 {
				b.Errorf("%s is %v when all is over", key, after[key])
			}
		}
	})
}

func TestAClientThatLeavesIsCounted(t *testing.T) {
	t.Parallel()
	inBubble(t, fixed(runs(slow)), func(b *bubble) {
		for _, body := range []string{hello, helloSSE} {
			c := b.send(body)
			synctest.Wait()
			c.Close()
		}
		synctest.Wait()
		got := scrape(b.T, b.server)
		if n := got[`hermes_turns_total{status="cancelled"}`]; n != 2 {
			b.Errorf("%v turns were cancelled, want 2", n)
		}
		if n := got[`hermes_http_requests_total{route="/chat/completions",status="499"}`]; n != 2 {
			b.Errorf("%v clients left, want 2", n)
		}
		if n := got["hermes_streams_open"]; n != 0 {
			b.Errorf("%v streams are open when nobody is there", n)
		}
	})
}

func TestNobodyOutsideMakesSeries(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	call(t, server, "GET", "/v1/models/x", "")
	call(t, server, "GET", "/nothing", "")
	call(t, server, "GET", "/nothing", "", "Authorization: ")
	before := len(scrape(t, server))
	for i := range 100 {
		call(t, server, "GET", fmt.Sprintf("/v1/models/%d", i), "")
		call(t, server, "GET", fmt.Sprintf("/%d", i), "")
		call(t, server, fmt.Sprintf("M%d", i), "/nothing", "")
		call(t, server, "GET", "/nothing", "", fmt.Sprintf("X-Request-Id: %d", i))
	}
	if after := len(scrape(t, server)); after > before+1 { // the answer to the first scrape
		t.Errorf("there were %d samples and are %d", before, after)
	}
}

func TestMetricsNeedTheKey(t *testing.T) {
	t.Parallel()
	server := api.New(fixed(says("hi")))
	for path, want := range map[string]int{"/metrics": 200, "/v1/metrics": 200} {
		if got := call(t, server, "GET", path, ""); got.status != want {
			t.Errorf("%s: got %d", path, got.status)
		}
		if got := call(t, server, "GET", path, "", "Authorization: "); got.status != 401 {
			t.Errorf("%s without a key: got %d", path, got.status)
		}
	}
}
