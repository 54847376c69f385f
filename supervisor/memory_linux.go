package supervisor

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"
)

// memoryOf returns what a process occupies, or nil if it cannot be told.
func memoryOf(pid int) *Memory {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return nil
	}
	var m Memory
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 {
			continue
		}
		kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			continue
		}
		switch fields[0] {
		case "Pss:":
			m.PSS = kilobytes << 10
		case "Rss:":
			m.RSS = kilobytes << 10
		}
	}
	if m == (Memory{}) { // a process that is just ending has none
		return nil
	}
	return &m
}
