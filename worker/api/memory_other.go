//go:build !linux

package api

// residentBytes knows nothing here: there is no cheap way to ask.
func residentBytes() (int64, bool) { return 0, false }
