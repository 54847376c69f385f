package api

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"hermes/worker/agent"
)

// How a turn, or a call of a tool, can end.
const (
	outcomeDone      = "done"
	outcomeFailed    = "failed"
	outcomeCancelled = "cancelled" // its client left, or somebody stopped it
)

// Why a turn was not begun.
const (
	refusedQueue = "queue"            // too many ran and waited
	refusedRate  = "turns_per_minute" // limits.turns_per_minute
	refusedQuota = "tokens_per_day"   // limits.tokens_per_day
)

// otherLabel stands for what has no label of its own.
const otherLabel = "other"

// metrics is what is counted for GET /metrics. Names and meanings are what
// people's dashboards and alerts are built on: add, but do not change them.
type metrics struct {
	now    func() time.Time
	tools  []string      // that have a label of their own
	routes []*echo.Route // whose paths are labels

	turns       *counters // by how they ended
	refusals    *counters // by reason
	tasks       *counters // by how they ended
	wait        *histogram
	firstOutput *histogram
	duration    *histogram

	input, cached, output, reasoning *counters // tokens, without labels

	toolCalls    *counters // by tool and how they ended
	toolDuration *histogram

	requests *counters // by route and status
	streams  gauge
}

func newMetrics(tools []string, now func() time.Time) *metrics {
	ends := []string{labels("status", outcomeDone), labels("status", outcomeFailed), labels("status", outcomeCancelled)}
	var calls []string
	for _, tool := range tools {
		calls = append(calls, labels("tool", tool, "outcome", outcomeDone), labels("tool", tool, "outcome", outcomeFailed))
	}
	seconds := []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}
	return &metrics{
		now: now, tools: tools,
		turns:        newCounters(ends...),
		refusals:     newCounters(labels("reason", refusedQueue), labels("reason", refusedRate), labels("reason", refusedQuota)),
		tasks:        newCounters(ends...),
		wait:         newHistogram(0.001, 0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30),
		firstOutput:  newHistogram(seconds[:11]...),
		duration:     newHistogram(seconds...),
		input:        newCounters(""),
		cached:       newCounters(""),
		output:       newCounters(""),
		reasoning:    newCounters(""),
		toolCalls:    newCounters(calls...),
		toolDuration: newHistogram(append([]float64{0.01}, seconds[:12]...)...),
		requests:     newCounters(),
	}
}

// refused counts a turn or a task that was not begun.
func (m *metrics) refused(reason string) { m.refusals.add(labels("reason", reason), 1) }

// since is how many seconds have passed.
func (m *metrics) since(began time.Time) float64 { return m.now().Sub(began).Seconds() }

// showMetrics answers GET /metrics in the text format of Prometheus.
func (s *Server) showMetrics(c echo.Context) error {
	used := s.limits.used(c.Request().Context())
	m := s.metrics
	var p page
	p.head("hermes_build_info", "gauge", "Which version of hermes this is; the value is always 1.")
	p.sample("hermes_build_info", labels("version", s.opts.Version), 1)

	p.counters("hermes_turns_total", "Turns that have ended, by how.", m.turns)
	running, waiting := s.gate.load()
	p.gauge("hermes_turns_running", "Turns that run.", float64(running))
	p.gauge("hermes_turns_limit", "How many turns may run at once (api_server.max_concurrent_runs).", float64(s.now.Load().MaxConcurrentRuns))
	p.gauge("hermes_turns_waiting", "Turns that wait for their beginning.", float64(waiting))
	p.histogram("hermes_turn_wait_seconds", "How long turns waited for their beginning.", m.wait)
	p.counters("hermes_turns_refused_total", "Turns and tasks that were answered with status 429 instead, by the limit that was reached.", m.refusals)
	p.histogram("hermes_turn_first_output_seconds", "Time from the beginning of a turn to its first word, thought or tool.", m.firstOutput)
	p.histogram("hermes_turn_duration_seconds", "Time from the beginning of a turn to its end.", m.duration)
	p.counters("hermes_tasks_total", "Background tasks of frontends, such as titles, that have ended, by how.", m.tasks)

	p.counters("hermes_input_tokens_total", "Tokens that were sent to models.", m.input)
	p.counters("hermes_cached_input_tokens_total", "The part of hermes_input_tokens_total that providers had in their caches.", m.cached)
	p.counters("hermes_output_tokens_total", "Tokens that models answered with.", m.output)
	p.counters("hermes_reasoning_tokens_total", "The part of hermes_output_tokens_total that was thinking.", m.reasoning)
	if day := used.TokensPerDay; day != nil {
		p.gauge("hermes_day_tokens", "Tokens used in this day of UTC.", float64(day.Used))
		p.gauge("hermes_day_tokens_limit", "How many tokens may be used in a day (limits.tokens_per_day).", float64(day.Limit))
	}

	p.counters("hermes_tool_calls_total", "Calls of tools that have ended, by tool and how.", m.toolCalls)
	p.histogram("hermes_tool_duration_seconds", "How long calls of tools took.", m.toolDuration)

	p.counters("hermes_http_requests_total", "Requests, by path without /v1 and by status; 0 is an answer that broke off, 499 a client that left before it.", m.requests)
	p.gauge("hermes_streams_open", "Streams that are being sent.", float64(m.streams.Load()))

	p.gauge("process_start_time_seconds", "When this process began to serve, in seconds since 1970.", float64(s.created))
	if bytes, ok := residentBytes(); ok {
		p.gauge("process_resident_memory_bytes", "Memory of this process that is in RAM.", float64(bytes))
	}
	p.gauge("go_goroutines", "Goroutines that exist.", float64(runtime.NumGoroutine()))

	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, metricsType, p.b)
}

// request counts a request. The function that it returns must be called with
// the status when the answer has ended, 0 when it broke off.
func (m *metrics) request(c echo.Context) (done func(status int)) {
	streams := false
	w := c.Response()
	w.Before(func() {
		if streams = strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream"); streams {
			m.streams.Add(1)
		}
	})
	return func(status int) {
		if streams {
			m.streams.Add(-1)
		}
		route := otherLabel
		if slices.ContainsFunc(m.routes, func(r *echo.Route) bool { return r.Path == c.Path() }) {
			route = c.Path()
		}
		m.requests.add(labels("route", route, "status", strconv.Itoa(status)), 1)
	}
}

// watched is a Runner whose turns are counted.
type watched struct {
	Runner
	metrics *metrics
	limits  *limits
}

// Run runs a turn and counts it.
func (w watched) Run(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (result agent.Result, err error) {
	m := w.metrics
	began := m.now()
	silent := true
	open := map[string]int{} // tools that were started and have not ended
	ended := false
	defer func() {
		m.turns.add(labels("status", outcome(ctx, err, ended)), 1)
		m.duration.observe(m.since(began))
		for tool, n := range open {
			m.toolCalls.add(labels("tool", tool, "outcome", outcomeCancelled), n)
		}
		w.used(result)
	}()
	result, err = w.Runner.Run(ctx, turn, func(event agent.Event) error {
		if silent {
			silent = false
			m.firstOutput.observe(m.since(began))
		}
		switch event := event.(type) {
		case agent.ToolStarted:
			open[m.toolLabel(event.Call.Name)]++
		case agent.ToolFinished:
			tool, how := m.toolLabel(event.Call.Name), outcomeDone
			if event.Failed {
				how = outcomeFailed
			}
			if open[tool]--; open[tool] <= 0 {
				delete(open, tool)
			}
			m.toolCalls.add(labels("tool", tool, "outcome", how), 1)
			m.toolDuration.observe(event.Duration.Seconds())
		default:
		}
		return emit(event)
	})
	ended = true
	return result, err
}

// Complete runs a background task and counts it.
func (w watched) Complete(ctx context.Context, turn agent.Turn, emit func(agent.Event) error) (result agent.Result, err error) {
	ended := false
	defer func() {
		w.metrics.tasks.add(labels("status", outcome(ctx, err, ended)), 1)
		w.used(result)
	}()
	result, err = w.Runner.Complete(ctx, turn, emit)
	ended = true
	return result, err
}

// used counts the tokens of what has ended.
func (w watched) used(result agent.Result) {
	w.metrics.input.add("", result.Usage.Input)
	w.metrics.cached.add("", result.Usage.Cached)
	w.metrics.output.add("", result.Usage.Output)
	w.metrics.reasoning.add("", result.Usage.Reasoning)
	w.limits.spend(result.Usage.Input + result.Usage.Output)
}

// toolLabel is a tool's name if there is such a tool: models make names up.
func (m *metrics) toolLabel(name string) string {
	if slices.Contains(m.tools, name) {
		return name
	}
	return otherLabel
}

// outcome says how something ended. A panic leaves ended false.
func outcome(ctx context.Context, err error, ended bool) string {
	switch {
	case ended && err == nil:
		return outcomeDone
	case ended && ctx.Err() != nil:
		return outcomeCancelled
	default:
		return outcomeFailed
	}
}
