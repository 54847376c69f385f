package worker

import (
	"slices"
	"strings"
	"testing"

	"hermes/worker/llm/llmtest"
)

// Calls as quirky servers send them reach the tool, or the model is told what is wrong
// with them. The request that carries the results holds what every server reads.
func TestMalformedCallsOnTheWire(t *testing.T) {
	const read, milk = `{\"path\":\"notes.txt\"}`, "1|milk\n2|eggs\n"
	delta := func(inner string) string { return `{"tool_calls":[` + inner + `]}` }
	function := func(inner string) string {
		return delta(`{"index":0,"id":"a","type":"function","function":{` + inner + `}}`)
	}
	for name, test := range map[string]struct {
		deltas []string
		sent   []string // name and arguments as the next request has them
		told   []string // the beginnings of the results
	}{
		"arguments are an object":                  {[]string{function(`"name":"read_file","arguments":{"path":"notes.txt"}`)}, []string{`read_file {"path":"notes.txt"}`}, []string{milk}},
		"arguments are encoded twice":              {[]string{function(`"name":"read_file","arguments":"\"{\\\"path\\\":\\\"notes.txt\\\"}\""`)}, []string{`read_file {"path":"notes.txt"}`}, []string{milk}},
		"arguments are empty":                      {[]string{function(`"name":"read_file","arguments":""`)}, []string{`read_file {}`}, []string{"read_file was not run: the argument path is missing"}},
		"arguments are null":                       {[]string{function(`"name":"read_file","arguments":null`)}, []string{`read_file {}`}, []string{"read_file was not run: the argument path is missing"}},
		"arguments never come":                     {[]string{function(`"name":"read_file"`)}, []string{`read_file {}`}, []string{"read_file was not run: the argument path is missing"}},
		"arguments are cut":                        {[]string{function(`"name":"read_file","arguments":"{\"path\":\"notes.t"`)}, []string{`read_file {"invalid_arguments":"{\"path\":\"notes.t"}`}, []string{"read_file was not run: its arguments are cut off"}},
		"arguments that would be optional are cut": {[]string{function(`"name":"todo","arguments":"{\"todos\":[{\"id\":\"1"`)}, []string{`todo {"invalid_arguments":"{\"todos\":[{\"id\":\"1"}`}, []string{"todo was not run: its arguments are cut off"}},
		"arguments are a command":                  {[]string{function(`"name":"terminal","arguments":"touch made"`)}, []string{`terminal {"invalid_arguments":"touch made"}`}, []string{"terminal was not run: its arguments are no JSON object"}},
		"arguments are two objects":                {[]string{function(`"name":"read_file","arguments":"` + read + read + `"`)}, []string{`read_file {"invalid_arguments":"{\"path\":\"notes.txt\"}{\"path\":\"notes.txt\"}"}`}, []string{"read_file was not run: its arguments are more than one JSON object"}},
		"no name":                                  {[]string{function(`"arguments":"` + read + `"`)}, []string{`unknown {"path":"notes.txt"}`}, []string{"The call names no tool, so nothing was run."}},
		"space around the name":                    {[]string{function(`"name":" read_file ","arguments":"` + read + `"`)}, []string{`read_file {"path":"notes.txt"}`}, []string{milk}},
		"a name with a prefix":                     {[]string{function(`"name":"functions.read_file:0","arguments":"` + read + `"`)}, []string{`functions_read_file_0 {"path":"notes.txt"}`}, []string{milk}},
		"a name made up":                           {[]string{function(`"name":"open the file","arguments":"` + read + `"`)}, []string{`open_the_file {"path":"notes.txt"}`}, []string{"There is no tool open the file."}},
		"no ids, and no index": {
			[]string{delta(`{"function":{"name":"read_file","arguments":"` + read + `"}}`), delta(`{"function":{"name":"read_file","arguments":"` + read + `"}}`)},
			[]string{`read_file {"path":"notes.txt"}`, `read_file {"path":"notes.txt"}`},
			[]string{milk, milk},
		},
		"one id for two": {
			[]string{delta(`{"index":0,"id":"a","function":{"name":"read_file","arguments":"` + read + `"}}`), delta(`{"index":1,"id":"a","function":{"name":"todo","arguments":"{}"}}`)},
			[]string{`read_file {"path":"notes.txt"}`, `todo {}`},
			[]string{milk, "There are no tasks."},
		},
		"all at index 0": {
			[]string{delta(`{"index":0,"id":"a","function":{"name":"read_file","arguments":"` + read + `"}}`), delta(`{"index":0,"id":"b","function":{"name":"todo","arguments":"{}"}}`)},
			[]string{`read_file {"path":"notes.txt"}`, `todo {}`},
			[]string{milk, "There are no tasks."},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var next llmtest.Call
			story := story{
				answers: []llmtest.Reply{{Raw: wire(test.deltas...)}, llmtest.Text("Done.")},
				play:    func(s *scene) { s.say("Go."); next = s.last },
			}
			story.run(t)
			checkNext(t, next, test.sent, test.told)
		})
	}
}

// checkNext looks at the request that carries the results of calls.
func checkNext(t *testing.T, next llmtest.Call, sent, told []string) {
	t.Helper()
	var calls, ids []string
	for _, message := range next.Messages {
		for _, call := range message.ToolCalls {
			calls = append(calls, call.Name+" "+call.Arguments)
			if call.ID == "" || slices.Contains(ids, call.ID) {
				t.Errorf("the ids are %q and %q", ids, call.ID)
			}
			ids = append(ids, call.ID)
		}
	}
	if !slices.Equal(calls, sent) {
		t.Errorf("the next request has the calls\n%s\nwant\n%s", strings.Join(calls, "\n"), strings.Join(sent, "\n"))
	}
	if got := next.ToolResults(); !slices.EqualFunc(got, told, strings.HasPrefix) {
		t.Errorf("the model is told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(told, "\n"))
	}
}
