//go:build !linux

package main

// failSyncs and loseWalls do nothing: only on Linux a process can make its own
// system calls fail.
func failSyncs() {}

func loseWalls() {}

func loseNamespaces(uint32) {}
