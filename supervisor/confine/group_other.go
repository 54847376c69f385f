//go:build !linux

package confine

import "syscall"

// Confiner makes a group for each worker; outside Linux it makes none.
type Confiner struct{}

// Find finds Watched.
func Find(Mechanism) *Confiner { return &Confiner{} }

// Mechanism is Watched.
func (*Confiner) Mechanism() Mechanism { return Watched }

// Why says what keeps a better mechanism from being used.
func (*Confiner) Why() string { return "there are no cgroups on this system" }

// Close does nothing.
func (*Confiner) Close() {}

// Group is nil.
func (*Confiner) Group(string, Limits) (*Group, error) { return nil, nil } //nolint:nilnil // a nil group does nothing

// Group does nothing outside Linux.
type Group struct{}

// Limit does nothing.
func (*Group) Limit(Limits) error { return nil }

// Files are none.
func (*Group) Files() Files { return Files{} }

// Prepare does nothing.
func (*Group) Prepare(*syscall.SysProcAttr) {}

// Admit does nothing.
func (*Group) Admit(int) error { return nil }

// OutOfMemory is false.
func (*Group) OutOfMemory() bool { return false }

// Kill does nothing.
func (*Group) Kill() error { return nil }

// Close does nothing.
func (*Group) Close() error { return nil }

// State is Watched.
func (*Confiner) State() State { return State{Mechanism: Watched} }

// Resume finds Watched.
func Resume(State) *Confiner { return &Confiner{} }

// State is nil.
func (*Group) State() *GroupState { return nil }

// ResumeGroup is nil.
func ResumeGroup(*GroupState) *Group { return nil }

// AdmitMissing does nothing here.
func (g *Group) AdmitMissing(int) error { return nil }
