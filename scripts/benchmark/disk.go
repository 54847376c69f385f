package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
)

// stored is what it takes to put a response of 20 KB beside 100 others and to
// remove one, waiting for the disk. Times are medians in microseconds.
type stored struct {
	// Driver does it with one prepared table and nothing else.
	Driver float64 `json:"driver_us"`
	Hermes float64 `json:"hermes_us"`
}

// measureStore runs a benchmark of the store's test binary.
func measureStore(ctx context.Context, test string) (s stored, err error) {
	err = figures(ctx, test, "^BenchmarkPut$/^(store|driver)$", map[string]*float64{
		`BenchmarkPut/driver.* ([\d.]+) p50-ns`: &s.Driver, `BenchmarkPut/store.* ([\d.]+) p50-ns`: &s.Hermes,
	})
	s.Driver, s.Hermes = s.Driver/1000, s.Hermes/1000
	return s, err
}

// inProcess is what is measured within one process, without a network: the least of
// many runs, as it is the machine's other work that makes the others longer.
type inProcess struct {
	// ToolCall is what the agent adds to a call of a tool, its three commits included.
	ToolCall float64 `json:"tool_call_us"`
	// Skills is what 200 skills add to a start.
	Skills float64 `json:"skills_200_us"`
}

// measureInProcess runs benchmarks of the worker's test binary.
func measureInProcess(ctx context.Context, test string) (p inProcess, err error) {
	err = figures(ctx, test, "^Benchmark(ToolCalls|Skills)$", map[string]*float64{
		`BenchmarkToolCalls.* ([\d.]+) least-µs/call`: &p.ToolCall, `BenchmarkSkills.* ([\d.]+) least-ms-added`: &p.Skills,
	})
	p.Skills *= 1000
	return p, err
}

// figures runs benchmarks of a test binary and reads figures out of what it prints:
// for each pattern the number that its group matches.
func figures(ctx context.Context, test, benchmarks string, into map[string]*float64) error {
	out, err := exec.CommandContext(ctx, test, "-test.run", "^$", "-test.bench", benchmarks, "-test.benchtime", "2s").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", test, err, out)
	}
	line := regexp.MustCompile(`[ \t]+`).ReplaceAll(out, []byte(" "))
	for pattern, figure := range into {
		match := regexp.MustCompile(`(?m)^` + pattern).FindSubmatch(line)
		if match == nil {
			return fmt.Errorf("%s: nothing is like %s in\n%s", test, pattern, out)
		}
		if *figure, err = strconv.ParseFloat(string(match[1]), 64); err != nil {
			return err
		}
	}
	return nil
}
