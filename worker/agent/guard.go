package agent

import (
	"crypto/sha256"
	"slices"

	"hermes/worker/llm"
	"hermes/worker/tools"
)

// A model that has lost its way makes the same call over and over. After
// nudgeAfter equal calls with equal results it is told so, after stopAfter the
// turn ends.
const (
	guardWindow = 10 // steps looked back
	nudgeAfter  = 3
	stopAfter   = 5
)

// guard counts how often a call was made with the same result within the last
// guardWindow steps. Equal calls within one step count once.
type guard struct {
	steps []map[[sha256.Size]byte]bool // newest last
	// stuck is the call that went over stopAfter, if there is one.
	stuck *llm.ToolCall
}

// step begins a new step.
func (g *guard) step() {
	if len(g.steps) == guardWindow {
		g.steps = slices.Delete(g.steps, 0, 1)
	}
	g.steps = append(g.steps, map[[sha256.Size]byte]bool{})
}

// saw takes note of a call's result and reports whether the model should be
// told that it goes round in circles.
func (g *guard) saw(call llm.ToolCall, result tools.Result) (nudge bool) {
	h := sha256.New()
	h.Write([]byte(call.Name + "\x00" + call.Arguments + "\x00" + result.Text))
	for _, image := range result.Images { // the next look at a screen is another result
		h.Write(image.Data)
	}
	signature := [sha256.Size]byte(h.Sum(nil))
	g.steps[len(g.steps)-1][signature] = true
	times := 0
	for _, step := range g.steps {
		if step[signature] {
			times++
		}
	}
	if times > stopAfter {
		g.stuck = &call
	}
	return times >= nudgeAfter
}
