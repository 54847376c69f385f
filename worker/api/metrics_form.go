package api

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// metricsType is the media type of the text format of Prometheus.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// labels writes pairs of names and values as they stand between the braces of a
// sample. Values come from this program and its settings, never from a request,
// so that nobody outside can make series.
func labels(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(pairs[i])
		b.WriteString(`="`)
		for _, c := range []byte(pairs[i+1]) {
			switch c {
			case '\n':
				b.WriteString(`\n`)
			case '\\', '"':
				b.WriteByte('\\')
				b.WriteByte(c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}

// counters is one counter for each set of labels.
type counters struct {
	mu     sync.Mutex // guards counts
	counts map[string]int64
}

// newCounters makes counters that begin at 0 for the sets of labels that are
// known, so that their first increase is seen as one.
func newCounters(known ...string) *counters {
	c := &counters{counts: map[string]int64{}}
	for _, labels := range known {
		c.counts[labels] = 0
	}
	return c
}

func (c *counters) add(labels string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[labels] += int64(n)
}

func (c *counters) read() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// gauge goes up and down.
type gauge struct{ atomic.Int64 }

// histogram counts durations in seconds, in buckets that never change.
type histogram struct {
	bounds []float64 // the upper ends of the buckets, ascending; one more is endless

	mu     sync.Mutex // guards what follows
	counts []uint64   // of each bucket alone
	sum    float64
}

func newHistogram(bounds ...float64) *histogram {
	return &histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

func (h *histogram) observe(seconds float64) {
	i, _ := slices.BinarySearch(h.bounds, seconds)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[i]++
	h.sum += seconds
}

// page is a text in the exposition format, while it is written.
type page struct{ b []byte }

// head begins a metric. Kind is counter, gauge or histogram.
func (p *page) head(name, kind, help string) {
	p.b = append(p.b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

func (p *page) sample(name, labels string, value float64) {
	p.b = append(p.b, name...)
	if labels != "" {
		p.b = append(p.b, "{"+labels+"}"...)
	}
	p.b = append(p.b, ' ')
	p.b = strconv.AppendFloat(p.b, value, 'g', -1, 64)
	p.b = append(p.b, '\n')
}

func (p *page) gauge(name, help string, value float64) {
	p.head(name, "gauge", help)
	p.sample(name, "", value)
}

func (p *page) counters(name, help string, c *counters) {
	p.head(name, "counter", help)
	counts := c.read()
	for _, labels := range slices.Sorted(maps.Keys(counts)) {
		p.sample(name, labels, float64(counts[labels]))
	}
}

func (p *page) histogram(name, help string, h *histogram) {
	p.head(name, "histogram", help)
	h.mu.Lock()
	defer h.mu.Unlock()
	total := uint64(0)
	for i, bound := range h.bounds {
		total += h.counts[i]
		p.sample(name+"_bucket", labels("le", strconv.FormatFloat(bound, 'g', -1, 64)), float64(total))
	}
	total += h.counts[len(h.bounds)]
	p.sample(name+"_bucket", labels("le", "+Inf"), float64(total))
	p.sample(name+"_sum", "", h.sum)
	p.sample(name+"_count", "", float64(total))
}
