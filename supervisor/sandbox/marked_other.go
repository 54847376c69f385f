//go:build !linux

package sandbox

import "strconv"

// MarkOf ends the marks in EnvCall of what the process pid starts.
func MarkOf(pid int) string { return "@" + strconv.Itoa(pid) }
