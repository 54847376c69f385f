package confine

// State is what Resume makes a Confiner from.
type State struct {
	Mechanism Mechanism `json:"mechanism"`
	Why       string    `json:"why,omitempty"`
	Memory    string    `json:"memory,omitempty"` // directories of groups
	Processes string    `json:"processes,omitempty"`
}

// GroupState is what ResumeGroup makes a Group from.
type GroupState struct {
	Mechanism Mechanism `json:"mechanism"`
	Memory    string    `json:"memory"`
	Processes string    `json:"processes"`
	Before    Counts    `json:"before"` // what was reached before the group began
}
