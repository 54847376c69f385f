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
	cmd := exec.CommandContext(ctx, test, "-test.run", "^$", "-test.bench", "^BenchmarkPut$/^(store|driver)$", "-test.benchtime", "2s")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return s, fmt.Errorf("%s: %w\n%s", test, err, out)
	}
	for name, into := range map[string]*float64{"driver": &s.Driver, "store": &s.Hermes} {
		match := regexp.MustCompile(`(?m)^BenchmarkPut/` + name + `\S*\s.*\s([\d.]+) p50-ns`).FindSubmatch(out)
		if match == nil {
			return s, fmt.Errorf("%s: no median of BenchmarkPut/%s in\n%s", test, name, out)
		}
		ns, err := strconv.ParseFloat(string(match[1]), 64)
		if err != nil {
			return s, err
		}
		*into = ns / 1000
	}
	return s, nil
}
