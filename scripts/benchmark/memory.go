package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// memory is what processes occupy, in bytes. Pages that several of them share
// (the binary above all) are counted in parts, so that sums are true.
type memory struct {
	Supervisor int64 `json:"supervisor"`
	Workers    int64 `json:"workers"`
	// Worker is the mean of one.
	Worker int64 `json:"worker"`
}

func (g *gateway) memory(ctx context.Context) (m memory, err error) {
	if m.Supervisor, err = pss(g.pid); err != nil {
		return m, err
	}
	for _, pid := range g.workers {
		n, err := pss(pid)
		if err != nil {
			return m, err
		}
		m.Workers += n
	}
	m.Worker = m.Workers / int64(len(g.workers))
	return m, ctx.Err()
}

// settledMemory waits until two looks in a row find the same.
func (g *gateway) settledMemory(ctx context.Context) (memory, error) {
	last, err := g.memory(ctx)
	for range 20 {
		if err != nil {
			return last, err
		}
		if err := pause(ctx, 500*time.Millisecond); err != nil {
			return last, err
		}
		now, err := g.memory(ctx)
		if err != nil {
			return now, err
		}
		if math.Abs(float64(now.Workers-last.Workers)) < 0.01*float64(last.Workers) {
			return now, nil
		}
		last = now
	}
	return last, nil
}

// pss is the proportional set size of a process.
func pss(pid int) (int64, error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	for lines.Scan() {
		if rest, found := strings.CutPrefix(lines.Text(), "Pss:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("read memory: no Pss of process %d", pid)
}

// cpu is the name of the processor, if it is known.
func cpu() string {
	content, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.Lines(string(content)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}
