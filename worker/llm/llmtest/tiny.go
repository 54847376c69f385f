package llmtest

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Tiny is a model that obeys plain commands, which makes it fit for tests that
// only see the outside of a process. It reads the last user message line by
// line. Lines that ask for tools are done one after the other, one step of the
// loop each:
//
//	run `pwd`                 calls terminal; several `…` in a line are parallel calls
//	write notes.txt: hello    calls write_file
//	read notes.txt            calls read_file; several names are parallel calls
//	again `date`              calls terminal in every step, for ever
//	call NAME {"city":"Rom"}  calls any tool, with these arguments
//
// When all are done the first line that fits says what follows. Without one, it
// answers with the results of the tools, each in full.
//
//	stream 100 8 20ms         100 chunks of 8 bytes, 20 ms apart; size and pause may be left out
//	think so: text            "so" as reasoning, then the text
//	fail 503 2                the status, with Retry-After: 2 if there is a second number
//	cut text                  the text, and then a broken stream
//	break text                the text, and then an error event
//	hang text                 the text, and then nothing until the client leaves
//	say text                  the text
//
// Everything else is echoed: "You said: …". A tool that the request does not
// offer is not called; Tiny says so instead.
func Tiny(call Call) Reply {
	message := call.LastUser()
	steps := toolSteps(message)
	if len(steps) > 0 {
		done := call.Steps()
		if strings.HasPrefix(steps[0][0].line, "again ") {
			done = 0
		}
		if done < len(steps) {
			return useTools(call, steps[done])
		}
	}
	for line := range strings.Lines(message) {
		if reply, ok := plainCommand(strings.TrimSpace(line)); ok {
			return reply
		}
	}
	if len(steps) > 0 {
		return Text("The tools answered:\n" + strings.Join(call.ToolResults(), "\n"))
	}
	return Text("You said: " + message)
}

// step is one wish for a tool.
type step struct {
	line      string
	tool      string
	arguments string // JSON
}

var backticked = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("`([^`]+)`") })

// toolSteps finds the lines of a message that ask for tools.
func toolSteps(message string) [][]step {
	var all [][]step
	for line := range strings.Lines(message) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		var steps []step
		switch strings.ToLower(word) {
		case "run", "again":
			for _, match := range backticked().FindAllStringSubmatch(rest, -1) {
				steps = append(steps, step{line, "terminal", object(map[string]string{"command": match[1]})})
			}
		case "write":
			if name, content, ok := strings.Cut(rest, ":"); ok {
				steps = append(steps, step{line, "write_file", object(map[string]string{
					"path": strings.TrimSpace(name), "content": strings.TrimPrefix(content, " "),
				})})
			}
		case "read":
			for name := range strings.FieldsSeq(rest) {
				steps = append(steps, step{line, "read_file", object(map[string]string{"path": name})})
			}
		case "call":
			if name, arguments, ok := strings.Cut(rest, " "); ok && json.Valid([]byte(arguments)) {
				steps = append(steps, step{line, name, arguments})
			}
		}
		if len(steps) > 0 {
			all = append(all, steps)
		}
	}
	return all
}

func useTools(call Call, steps []step) Reply {
	var reply Reply
	for _, step := range steps {
		if !call.HasTool(step.tool) {
			return Text("I have no tool " + step.tool + ".")
		}
		reply.Calls = append(reply.Calls, ToolCall{Name: step.tool, Arguments: step.arguments})
	}
	return reply
}

// object makes a JSON object of names and values.
func object(values map[string]string) string {
	encoded, err := json.Marshal(values)
	if err != nil {
		panic(err) // a map of strings always encodes
	}
	return string(encoded)
}

// plainCommand answers one of the commands that need no tool.
func plainCommand(line string) (Reply, bool) {
	word, rest, _ := strings.Cut(line, " ")
	fields := strings.Fields(rest)
	number := func(i, otherwise int) int {
		if i >= len(fields) {
			return otherwise
		}
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return otherwise
		}
		return n
	}
	switch strings.ToLower(word) {
	case "stream":
		if number(0, 0) <= 0 {
			return Reply{}, false
		}
		return streamReply(number(0, 0), number(1, 8), fields), true
	case "think":
		thought, text, _ := strings.Cut(rest, ":")
		return Reply{Reasoning: []string{thought}, Chunks: []string{strings.TrimSpace(text)}}, true
	case "fail":
		reply := Reply{Status: number(0, http.StatusInternalServerError)}
		if len(fields) > 1 {
			reply.RetryAfter = fields[1]
		}
		return reply, true
	case "cut":
		return Reply{Chunks: []string{rest}, Cut: true}, true
	case "break":
		return Reply{Chunks: []string{rest}, StreamError: "The model broke down."}, true
	case "hang":
		return Reply{Chunks: []string{rest}, Hang: true}, true
	case "say":
		return Text(rest), true
	default:
		return Reply{}, false
	}
}

// streamReply makes count chunks of size bytes. Chunk i holds its number, so
// that a reader can see what is missing.
func streamReply(count, size int, fields []string) Reply {
	reply := Reply{Chunks: make([]string, 0, count)}
	for i := range count {
		chunk := strconv.Itoa(i) + " "
		if pad := size - len(chunk); pad > 0 {
			chunk += strings.Repeat("x", pad-1) + " "
		}
		reply.Chunks = append(reply.Chunks, chunk)
	}
	if len(fields) > 2 {
		if gap, err := time.ParseDuration(fields[2]); err == nil {
			reply.Gap = gap
		}
	}
	return reply
}
