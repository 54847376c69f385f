//go:build !linux

package main

// failSyncs does nothing: only on Linux a process can make its own system calls
// fail.
func failSyncs() {}
