//go:build !linux

package inside

// Main is the stage, which there is on Linux only.
func Main() int { return 1 }

// ShimMain is process 1 of a worker's namespaces, which there are on Linux only.
func ShimMain() int { return 1 }
