//go:build !linux

package egress

import (
	"fmt"
	"os"
)

// Main is a process that only Linux has.
func Main() int {
	fmt.Fprintln(os.Stderr, "hermes: on this system there is no egress process")
	return 2
}
