package sandbox

import (
	"os"
	"strconv"
)

// offered is how much sooner than others, of 1000, a command is killed when
// memory runs out.
const offered = "500"

// offer makes the kernel kill a command, and what it starts, before the worker
// that waits for it. What goes wrong costs no more than that.
func offer(pid int) {
	_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+"/oom_score_adj", []byte(offered), 0)
}
