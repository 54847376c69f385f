package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"hermes/worker/api"
	"hermes/worker/openai"
)

// What a client leaves out of a response that it sends back is put back, if it is
// the agent's.
func TestItemsThatAClientLeavesOut(t *testing.T) {
	t.Parallel()
	const whole = `u:tool c:terminal{"command":"pwd"} t:/here a:answer 1 u:more`
	dropTools := func(item openai.Item) bool { _, ok := item.(openai.MessageItem); return !ok }
	nothing := func(openai.Item) bool { return false }
	tests := []struct {
		name, shape string
		drop        func(openai.Item) bool
		rename      func(item string) string
		want        string
	}{
		{name: "all of an mcp_call", shape: "mcp_call", drop: dropTools, want: whole},
		{name: "all of a function_call", shape: "function_call", drop: dropTools, want: whole},
		{
			name: "the output", shape: "function_call", want: whole,
			drop: func(item openai.Item) bool { _, ok := item.(openai.FunctionOutputItem); return ok },
		},
		{name: "nothing of an mcp_call", shape: "mcp_call", drop: nothing, want: whole},
		{name: "nothing of a function_call", shape: "function_call", drop: nothing, want: whole},
		{
			name: "ids of calls and outputs", shape: "function_call", drop: nothing, want: whole,
			rename: func(item string) string {
				return strings.NewReplacer(`"id":"fc_`, `"x":"`, `"id":"fco_`, `"x":"`).Replace(item)
			},
		},
		{
			name: "the id of the message too", shape: "mcp_call", drop: dropTools, want: `u:tool a:answer 1 u:more`,
			rename: func(item string) string { return strings.Replace(item, `"id":"msg_`, `"x":"`, 1) },
		},
		{
			name: "a response that is not there", shape: "mcp_call", drop: dropTools, want: `u:tool a:answer 1 u:more`,
			rename: func(item string) string { return strings.Replace(item, `"id":"msg_`, `"id":"msg_other`, 1) },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var heard listener
			opts := stored(t, fixed(runs(heard.run)))
			opts.ToolItems = test.shape
			server := api.New(opts)
			first := respond(t, server, `{"input":"tool"}`)
			input := []string{`{"role":"user","content":"tool"}`}
			for _, item := range slices.DeleteFunc(slices.Clone(first.Output), test.drop) {
				line, err := json.Marshal(item)
				if err != nil {
					t.Fatal(err)
				}
				if test.rename != nil {
					line = []byte(test.rename(string(line)))
				}
				input = append(input, string(line))
			}
			second := respond(t, server, `{"input":[`+strings.Join(input, ",")+`,{"role":"user","content":"more"}]}`)
			if got := said(heard.last().History); got != test.want {
				t.Errorf("history is %q, want %q", got, test.want)
			}
			respond(t, server, `{"input":[{"role":"user","content":"last"}],"previous_response_id":"`+second.ID+`"}`)
			if got, want := said(heard.last().History), test.want+" a:answer 2 u:last"; got != want {
				t.Errorf("the history after it is %q, want %q", got, want)
			}
		})
	}
}
