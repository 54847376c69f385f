package supervisor

import (
	"bytes"
	"os"
	"strconv"
)

// ticksInSecond is in how many parts of a second the kernel counts for programs, on
// every architecture that Go runs on.
const ticksInSecond = 100

// cpuOf returns how much processor time a process has used, in seconds, 0 if that
// cannot be told.
func cpuOf(pid int) float64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	// The name in brackets may hold anything.
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(string(fields[11]), 64)
	system, _ := strconv.ParseFloat(string(fields[12]), 64)
	return (user + system) / ticksInSecond
}
