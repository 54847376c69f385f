package api

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However the requests come, no stretch of time sees more turns begin than what
// may begin at once and what becomes free in it.
func TestNoStretchOfTimeHasTooManyTurns(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		perMinute := rapid.IntRange(1, 100).Draw(t, "per minute")
		l := newLimits(Limits{TurnsPerMinute: perMinute}, nil, func() time.Time { return now })
		var begun []time.Time
		for _, pause := range rapid.SliceOfN(rapid.Int64Range(0, int64(2*time.Minute)), 1, 300).Draw(t, "pauses") {
			now = now.Add(time.Duration(pause))
			if l.take() == nil {
				begun = append(begun, now)
			}
			if rapid.IntRange(0, 9).Draw(t, "given back") == 0 && len(begun) > 0 && begun[len(begun)-1].Equal(now) {
				l.giveBack()
				begun = begun[:len(begun)-1]
			}
		}
		for i := range begun {
			for j := i; j < len(begun); j++ {
				most := float64(perMinute) * (1 + begun[j].Sub(begun[i]).Minutes())
				if n := float64(j - i + 1); n > most+1e-6 {
					t.Fatalf("%v turns began within %v, %v is the most", n, begun[j].Sub(begun[i]), most)
				}
			}
		}
	})
}
