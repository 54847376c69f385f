package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// report is everything that was measured. Times are in microseconds.
type report struct {
	Machine string   `json:"machine"`
	Request compared `json:"request"`
	Chunk   compared `json:"chunk"`
	// First is the time to the first text of a stream. Chain and ChainFirst are
	// of a response that follows a stored chain.
	First           compared  `json:"first_text"`
	Chain           compared  `json:"chain"`
	ChainFirst      compared  `json:"chain_first_text"`
	Streams         int       `json:"streams"`
	ChatStreams     relayed   `json:"streams_chat"`
	ResponseStreams relayed   `json:"streams_responses"`
	Store           stored    `json:"store"`
	InProcess       inProcess `json:"in_process"`
	Start           float64   `json:"start_us"`
	One             memory    `json:"one_worker_bytes"`
	Used            memory    `json:"one_worker_used_bytes"`
	Workers         int       `json:"workers"`
	Many            memory    `json:"workers_bytes"`
	Sleepers        int       `json:"sleepers"`
	Woken           woken     `json:"woken"`
}

// print writes the report as a table, with what is aimed at.
func (r report) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Machine)
	table := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(table, strings.Join(cells, "\t")) }
	if r.Workers > 0 {
		r.rows(row)
	}
	r.Woken.rows(r.Sleepers, row)
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// rows are what is measured of requests, streams and processes.
func (r report) rows(row func(...string)) {
	row("", "direct", "hermes", "added", "aim")
	row("request, not streamed", ms(r.Request.Direct), ms(r.Request.Hermes), ms(r.Request.Added), "< 1 ms")
	row(fmt.Sprintf("chunk of a stream of %d", chunks), us(r.Chunk.Direct), us(r.Chunk.Hermes), us(r.Chunk.Added), "< 60 µs")
	row("first text of a stream", ms(r.First.Direct), ms(r.First.Hermes), ms(r.First.Added), "< 1 ms")
	row(fmt.Sprintf("response after %d stored turns", chainTurns), ms(r.Chain.Direct), ms(r.Chain.Hermes), ms(r.Chain.Added), "")
	row("first text of its stream", ms(r.ChainFirst.Direct), ms(r.ChainFirst.Hermes), ms(r.ChainFirst.Added), "")
	if r.Store.Hermes > 0 {
		row(fmt.Sprintf("store, put 20 KB and evict (bare driver: %s)", ms(r.Store.Driver)), "", ms(r.Store.Hermes), "", "< 1.5 ms")
	}
	if r.InProcess.ToolCall > 0 {
		row("call of a tool, without its own time", "", "", ms(r.InProcess.ToolCall), "< 2 ms")
		row("start with 200 skills", "", "", ms(r.InProcess.Skills), "< 20 ms")
	}
	row("worker, start to READY", "", ms(r.Start), "", "< 40 ms")
	row("PSS, 1 idle worker", "", mb(r.One.Worker), "", "")
	row("PSS, the same, 10 s after its turns", "", mb(r.Used.Worker), "", "")
	row(fmt.Sprintf("PSS, each of %d idle workers", r.Workers), "", mb(r.Many.Worker), "", "< 6 MB")
	row(fmt.Sprintf("PSS, their supervisor (of 1: %s)", mb(r.One.Supervisor)), "", mb(r.Many.Supervisor), "", "")
	row("", "", "", "", "")
	row(fmt.Sprintf("CPU of one of %d streams, by the chunk", r.Streams), "relay", "hermes", "ratio", "aim")
	row("chat completions", us(r.ChatStreams.Relay), us(r.ChatStreams.Hermes), fmt.Sprintf("%.2f", r.ChatStreams.Ratio), "<= 1.0")
	row("responses", us(r.ResponseStreams.Relay), us(r.ResponseStreams.Hermes), fmt.Sprintf("%.2f", r.ResponseStreams.Ratio), "<= 1.0")
}

// rows are what is measured beside a bare server.
func (w woken) rows(sleepers int, row func(...string)) {
	if sleepers == 0 {
		return
	}
	row("", "", "", "", "")
	row("beside a bare server of Go", "bare", "hermes", "ratio", "aim")
	row("first byte of a profile that slept", ms(w.Bare), ms(w.Hermes), fmt.Sprintf("%.2f", w.Hermes/w.Bare), "<= 3.0")
	row("the same, right after another one was woken", "", ms(w.Next), fmt.Sprintf("%.2f", w.Next/w.Bare), "")
	row(fmt.Sprintf("PSS, each of %d idle workers", sleepers), mb(w.Server), mb(w.Worker), fmt.Sprintf("%.2f", float64(w.Worker)/float64(w.Server)), "<= 3.0")
}

func ms(us float64) string { return fmt.Sprintf("%.2f ms", us/1000) }

func us(us float64) string { return fmt.Sprintf("%.1f µs", us) }

func mb(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
