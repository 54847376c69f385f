package supervisor

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// freeMemory is how much of the memory is free that a new worker could have, in
// percent: that of the machine, or of the cgroup that this process is in, whichever
// has less. What the kernel only caches counts as free.
func freeMemory() (percent float64, known bool) { return freeBelow("/proc", "/sys/fs/cgroup") }

func freeBelow(proc, cgroups string) (percent float64, known bool) {
	percent = math.Inf(1)
	for _, share := range [][2]float64{machineMemory(proc), groupMemory(proc, cgroups)} {
		if free, total := share[0], share[1]; total > 0 {
			percent = min(percent, 100*max(0, free)/total)
		}
	}
	return percent, !math.IsInf(percent, 1)
}

// machineMemory is what is free of all memory, and all; zeros if that is not known.
func machineMemory(proc string) [2]float64 {
	data, err := os.ReadFile(filepath.Join(proc, "meminfo"))
	if err != nil {
		return [2]float64{}
	}
	return [2]float64{numberAfter(data, "MemAvailable:"), numberAfter(data, "MemTotal:")}
}

// groupMemory is the same of the cgroup of this process and those above it, of
// which the tightest counts; zeros without a limit.
func groupMemory(proc, cgroups string) (tightest [2]float64) {
	data, err := os.ReadFile(filepath.Join(proc, "self/cgroup"))
	if err != nil {
		return tightest
	}
	for line := range strings.Lines(string(data)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		root, limit, used, cached := cgroups, "memory.max", "memory.current", "inactive_file"
		if parts[1] != "" {
			if !strings.Contains(","+parts[1]+",", ",memory,") {
				continue
			}
			root, limit, used, cached = filepath.Join(cgroups, "memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		}
		// In a container the path may be that outside of it: then only the root is there.
		for path := filepath.Join("/", parts[2]); ; path = filepath.Dir(path) {
			dir := filepath.Join(root, path)
			// Without a limit v1 tells a number near the largest. What else there is to
			// know is not asked then: the kernel adds it up.
			if total := numberIn(dir, limit); total > 0 && total < 1<<60 {
				stat, _ := os.ReadFile(filepath.Join(dir, "memory.stat"))
				free := total - numberIn(dir, used) + numberAfter(stat, cached)
				if tightest[1] == 0 || free/total < tightest[0]/tightest[1] {
					tightest = [2]float64{free, total}
				}
			}
			if path == "/" {
				break
			}
		}
	}
	return tightest
}

// numberIn is the number in a file, 0 if it holds none.
func numberIn(dir, name string) float64 {
	data, _ := os.ReadFile(filepath.Join(dir, name))
	n, _ := strconv.ParseFloat(string(bytes.TrimSpace(data)), 64) // "max" is none
	return n
}

// numberAfter is the number that follows a word at the beginning of a line, or 0.
func numberAfter(data []byte, word string) float64 {
	for line := range bytes.Lines(data) {
		fields := bytes.Fields(line)
		if len(fields) > 1 && string(fields[0]) == word {
			n, _ := strconv.ParseFloat(string(fields[1]), 64)
			return n
		}
	}
	return 0
}
