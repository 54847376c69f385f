package handoff

import "slices"

// The best and the last of the levels.
const (
	LevelFull = "FULL" // nothing is missing
	LevelNone = "NONE" // nothing is there
)

// maxClause is how long Why and Mend of a child may be in bytes.
const maxClause = 4 << 10

// Walls is what stands around the commands of a profile, found out by building it.
type Walls struct {
	// Level is FULL, NAMESPACES, REDUCED, WEAK or NONE.
	Level string `json:"level"`
	// Why says in a clause what is missing, Mend how to get it.
	Why  string `json:"why,omitempty"`
	Mend string `json:"mend,omitempty"`
}

// parting are the levels at which contents of other profiles are closed to commands.
func parting() []string { return []string{LevelFull, "NAMESPACES", "REDUCED"} }

// Part reports whether commands cannot read what belongs to other profiles. Of a
// level that is not known nothing is believed.
func (w Walls) Part() bool { return slices.Contains(parting(), w.Level) }

// known reports whether a level is one that may be shown to people.
func (w Walls) known() bool {
	return (w.Part() || w.Level == "WEAK" || w.Level == LevelNone) && len(w.Why) <= maxClause && len(w.Mend) <= maxClause
}
