//go:build !linux

package main

// takenProgram is the name of a hermes whose workers do what somebody else wants; only
// Linux has the walls that they try.
const takenProgram = "hermes-taken"

func beTaken() {}
