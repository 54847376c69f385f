//go:build !linux

package supervisor

// freeMemory is not known here.
func freeMemory() (percent float64, known bool) { return 0, false }
