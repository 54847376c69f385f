package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// chainTurns is how many turns stand before the one that is measured. In each of
// them a tool was called.
const chainTurns = 20

// chained is what is read of a response.
type chained struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Output []struct {
		Type string `json:"type"`
	} `json:"output"`
}

// chain stores the turns, and returns the question that follows them. Its answers
// are deleted again, so that each follows the same turns. Directly it is asked as a
// client does that keeps the history itself and sends all of it.
func (p *pair) chain(ctx context.Context, stream bool) (question, error) {
	type message map[string]any
	var history []message
	previous := ""
	for n := range chainTurns {
		command := fmt.Sprintf("echo %d", n)
		turn, err := p.respond(ctx, previous, "run `"+command+"`")
		if err != nil {
			return question{}, err
		}
		previous = turn.ID
		arguments, err := json.Marshal(map[string]string{"command": command})
		if err != nil {
			return question{}, err
		}
		id := fmt.Sprintf("call_%d", n)
		history = append(history,
			message{"role": "user", "content": "run `" + command + "`"},
			message{"role": "assistant", "tool_calls": []message{{
				"id": id, "type": "function", "function": message{"name": "terminal", "arguments": string(arguments)},
			}}},
			message{"role": "tool", "tool_call_id": id, "content": command},
			message{"role": "assistant", "content": "The tools answered:\n" + command},
		)
	}
	history = append(history, message{"role": "user", "content": "say goodbye"})
	direct, err := json.Marshal(message{"model": "m", "stream": stream, "messages": history})
	if err != nil {
		return question{}, err
	}
	return question{
		direct: request{chatPath, string(direct)},
		hermes: request{responsesPath, fmt.Sprintf(`{"model":"m","stream":%t,"previous_response_id":%q,"input":"say goodbye"}`, stream, previous)},
		answer: "goodbye",
		after:  func(answer []byte) error { return p.forget(ctx, answer) },
	}, nil
}

var responseID = regexp.MustCompile(`"id":"(resp_[^"]+)"`)

// forget deletes the response of an answer.
func (p *pair) forget(ctx context.Context, answer []byte) error {
	id := responseID.FindSubmatch(answer)
	if id == nil {
		return fmt.Errorf("no id of a response in %.500s", answer)
	}
	response, err := p.hermes.do(ctx, p.client, http.MethodDelete, request{path: responsesPath + "/" + string(id[1])})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return errors.Join(err, response.Body.Close())
}

// respond makes a turn with a call of a tool that is stored.
func (p *pair) respond(ctx context.Context, previous, input string) (turn chained, err error) {
	wish := map[string]string{"model": "m", "input": input}
	if previous != "" {
		wish["previous_response_id"] = previous
	}
	body, err := json.Marshal(wish)
	if err != nil {
		return turn, err
	}
	response, err := p.hermes.do(ctx, p.client, http.MethodPost, request{responsesPath, string(body)})
	if err != nil {
		return turn, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return turn, err
	}
	if err := json.Unmarshal(text, &turn); err != nil {
		return turn, err
	}
	var kinds []string
	for _, item := range turn.Output {
		kinds = append(kinds, item.Type)
	}
	if got := strings.Join(kinds, " "); got != "function_call function_call_output message" || turn.Status != "completed" {
		return turn, fmt.Errorf("a turn with a tool is %s, its output %s: %.500s", turn.Status, got, text)
	}
	return turn, nil
}
