package supervisor

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MetricsType is the media type of the text format of Prometheus.
const MetricsType = "text/plain; version=0.0.4; charset=utf-8"

// The kinds of deaths that nobody asked for.
const (
	deathMemory = "oom"
	deathHung   = "hung"   // the supervisor ended it, for its silence
	deathSignal = "signal" // somebody else did, or a crash
	deathExit   = "exit"   // it ended by itself
)

// deathOf sorts a death that nobody asked for. cause is why the supervisor ended
// the process, if it did.
func deathOf(exit Exit, cause string) string {
	switch {
	case exit.Cause == outOfMemory:
		return deathMemory
	case cause != "":
		return deathHung
	case exit.Signal != "":
		return deathSignal
	default:
		return deathExit
	}
}

// states are all of them, in the order in which they are passed through.
func states() []State {
	return []State{StateStopped, StateSleeping, StateStarting, StateReady, StateDraining, StateBackoff, StateBadConfig, StateBlocked}
}

// sample is a line of a metric: its labels beside the profile, and its value.
type sample struct {
	label, of string
	value     float64
}

// metric is a name with what it says of a profile; no samples where nothing is
// known.
type metric struct {
	name, kind, help string
	of               func(p ProfileStatus) []sample
}

func metrics(now time.Time) []metric {
	one := func(value float64) []sample { return []sample{{value: value}} }
	return []metric{
		{"hermes_worker_state", "gauge", "1 for the state that the service of a profile is in.", func(p ProfileStatus) (all []sample) {
			for _, state := range states() {
				value := 0.0
				if p.State == state {
					value = 1
				}
				all = append(all, sample{"state", string(state), value})
			}
			return all
		}},
		{"hermes_worker_restarts_total", "counter", "Deaths of workers that nobody asked for.", func(p ProfileStatus) (all []sample) {
			for _, death := range []string{deathMemory, deathHung, deathSignal, deathExit} {
				all = append(all, sample{"reason", death, float64(p.Deaths[death])})
			}
			return all
		}},
		{"hermes_worker_generation", "gauge", "Number of the newest worker, counted from 1.", func(p ProfileStatus) []sample { return one(float64(p.Generation)) }},
		{"hermes_worker_start_seconds", "gauge", "From the start of the worker until it served.", func(p ProfileStatus) []sample {
			if p.StartSeconds == 0 {
				return nil
			}
			return one(p.StartSeconds)
		}},
		{"hermes_worker_beat_age_seconds", "gauge", "Since the last sign of life.", func(p ProfileStatus) []sample {
			if p.Beat.IsZero() {
				return nil
			}
			return one(max(0, now.Sub(p.Beat).Seconds()))
		}},
		{"hermes_worker_busy", "gauge", "Turns that run.", func(p ProfileStatus) []sample { return one(float64(p.Busy)) }},
		{"hermes_worker_jobs", "gauge", "Background jobs that run.", func(p ProfileStatus) []sample { return one(float64(p.Jobs)) }},
		{"hermes_worker_retiring", "gauge", "Workers that finish what they had begun while another one serves.", func(p ProfileStatus) []sample {
			return one(float64(len(p.Retiring)))
		}},
		{"hermes_worker_drains_total", "counter", "Workers that have finished what they had begun and left.", func(p ProfileStatus) []sample {
			return one(float64(p.Drains))
		}},
		{"hermes_worker_drain_seconds_total", "counter", "How long that took all of them together.", func(p ProfileStatus) []sample {
			return one(p.DrainSeconds)
		}},
		{"hermes_worker_adopted_total", "counter", "Workers taken over from a gateway that has died.", func(p ProfileStatus) []sample {
			return one(float64(p.Adopted))
		}},
		{"hermes_worker_killed_total", "counter", "Workers that a signal ended, whoever sent it.", func(p ProfileStatus) (all []sample) {
			for _, signal := range slices.Sorted(maps.Keys(p.Killed)) {
				all = append(all, sample{"signal", signal, float64(p.Killed[signal])})
			}
			return all
		}},
		{"hermes_worker_retry_seconds", "gauge", "Until the next try to start a worker; 0 where none is waited for.", func(p ProfileStatus) []sample {
			if p.Retry.IsZero() {
				return one(0)
			}
			return one(max(0, p.Retry.Sub(now).Seconds()))
		}},
		{"hermes_worker_started_timestamp_seconds", "gauge", "When the worker was started, in seconds since 1970.", func(p ProfileStatus) []sample {
			if p.Started.IsZero() {
				return nil
			}
			return one(float64(p.Started.UnixMilli()) / 1000)
		}},
		{"hermes_worker_cpu_seconds_total", "counter", "Processor time of the worker itself.", func(p ProfileStatus) []sample {
			if p.PID == 0 {
				return nil
			}
			return one(p.CPUSeconds)
		}},
		{"hermes_worker_resident_bytes", "gauge", "Memory of the worker, shared pages included.", func(p ProfileStatus) []sample {
			if p.Memory == nil {
				return nil
			}
			return one(float64(p.Memory.RSS))
		}},
		{"hermes_worker_proportional_bytes", "gauge", "Memory of the worker, with shared pages counted in parts.", func(p ProfileStatus) []sample {
			if p.Memory == nil {
				return nil
			}
			return one(float64(p.Memory.PSS))
		}},
		{"hermes_log_dropped_lines_total", "counter", "Lines of workers that did not fit into the log.", func(p ProfileStatus) []sample { return one(float64(p.DroppedLines)) }},
	}
}

// WriteMetrics writes how the profiles of gateways stand, in the text format of
// Prometheus. The labels are names of profiles and words of this program, so that
// nobody outside can make series.
func WriteMetrics(w io.Writer, now time.Time, gateways ...Status) error {
	var b strings.Builder
	b.WriteString("# HELP hermes_gateway_info 1 for each gateway that runs.\n# TYPE hermes_gateway_info gauge\n")
	for _, g := range gateways {
		fmt.Fprintf(&b, "hermes_gateway_info{mode=%s,version=%s,limits=%s} 1\n", quoted(g.Mode), quoted(g.Version), quoted(g.Isolation.Limits))
	}
	b.WriteString("# HELP hermes_gateway_spares Processes that wait to become workers, of no profile yet.\n# TYPE hermes_gateway_spares gauge\n")
	for _, g := range gateways {
		fmt.Fprintf(&b, "hermes_gateway_spares{mode=%s} %d\n", quoted(g.Mode), g.Spares)
	}
	for _, m := range metrics(now) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		for _, g := range gateways {
			for _, p := range g.Profiles {
				for _, s := range m.of(p) {
					label := ""
					if s.label != "" {
						label = "," + s.label + "=" + quoted(s.of)
					}
					fmt.Fprintf(&b, "%s{profile=%s%s} %s\n", m.name, quoted(p.Name), label, strconv.FormatFloat(s.value, 'g', -1, 64))
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// quoted is the value of a label.
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`).Replace(text) + `"`
}

// measured adds to a status what metrics want to know beside it.
func (m *member) measured(status *ProfileStatus) {
	status.Deaths = maps.Clone(m.deaths)
	status.DroppedLines = m.output.missing()
	status.Killed, status.Drains, status.DrainSeconds = maps.Clone(m.killed), m.drains, m.drained.Seconds()
	status.Adopted = m.adopted
	for _, p := range m.running {
		if p.pid() == status.PID {
			status.Started = p.began
		}
	}
	g, p := m.current, m.serving()
	if p == nil {
		return
	}
	status.StartSeconds = g.readySince.Sub(p.began).Seconds()
	if g.stage == stageReady && !g.deadline.IsZero() && g.ending == endingNone {
		status.Beat = g.deadline.Add(-g.limits.silence)
	}
}

// died counts a death that nobody asked for.
func (m *member) died(exit Exit, cause string) {
	if m.deaths == nil {
		m.deaths = map[string]int{}
	}
	m.deaths[deathOf(exit, cause)]++
}

// left counts the end of a worker.
func (m *member) left(g *generation, exit Exit, now time.Time) {
	if exit.Signal != "" {
		if m.killed == nil {
			m.killed = map[string]int{}
		}
		m.killed[exit.Signal]++
		return
	}
	if g.stage == stageRetiring && !g.readySince.IsZero() {
		m.drains++
		m.drained += now.Sub(g.since)
	}
}

// getMetrics answers a scrape.
func (c control) getMetrics(w http.ResponseWriter, r *http.Request) {
	status, err := c.status(r.Context())
	if err != nil {
		c.answer(w, http.StatusServiceUnavailable, failure{Error: err.Error()})
		return
	}
	w.Header().Set("Content-Type", MetricsType)
	if err := WriteMetrics(w, time.Now(), status); err != nil {
		c.log.Debug("control client has gone", "error", err)
	}
}
