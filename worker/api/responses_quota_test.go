package api_test

import (
	"testing"

	"hermes/worker/api"
)

// What waits in the background while the tokens of the day are used up does not run.
func TestAQuotaThatEndsWhileAResponseWaits(t *testing.T) {
	t.Parallel()
	g := newGated()
	opts := stored(t, fixed(runs(g.run)))
	opts.MaxConcurrentRuns = 1
	opts.Limits = api.Limits{TokensPerDay: 1}
	server := api.New(opts)
	first := respond(t, server, `{"input":"x","background":true}`).ID
	receive(t, g.began, "the turn")
	waits := respond(t, server, `{"input":"y","background":true}`).ID
	close(g.open)
	for id, want := range map[string]string{first: "completed", waits: "failed"} {
		end := lastResponse(t, call(t, server, "GET", "/v1/responses/"+id+"?stream=true", "").body)
		if end.Status != want || want == "failed" && (end.Error == nil || end.Error.Type != "insufficient_quota") {
			t.Errorf("it ended as %s, %+v", end.Status, end.Error)
		}
	}
}
