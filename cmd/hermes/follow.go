package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"hermes/worker/llm/sse"
	"hermes/worker/openai"
)

// piece is what this command looks at in an event of a response's stream.
type piece struct {
	Type    string    `json:"type"`
	Delta   string    `json:"delta"`
	Message string    `json:"message"` // of an error
	Item    *toolItem `json:"item"`
	// Event says how a tool is to be shown.
	Event struct {
		Data struct {
			Description string `json:"description"`
		} `json:"data"`
	} `json:"event"`
	Response *ended `json:"response"`
}

// toolItem is a call of a tool, begun or ended.
type toolItem struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Name   string `json:"name"`
	Status string `json:"status"`
	Output string `json:"output"` // null while it runs
}

// ended is how a response ended.
type ended struct {
	Status string `json:"status"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
	Incomplete *struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
}

// follow shows an answer while it comes.
func (c *conversation) follow(ctx context.Context, body io.Reader, screen *screen) error {
	var last *ended
	events := sse.NewReader(body)
	for {
		event, err := events.Next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, io.EOF) && last != nil || err == nil && string(event.Data) == "[DONE]":
			screen.end()
			return c.conclude(last)
		case err != nil:
			return fmt.Errorf("the answer was cut off (%w); see: %s", err, c.command("gateway", "logs", string(c.profile.Name)))
		}
		var p piece
		if err := json.Unmarshal(event.Data, &p); err != nil {
			return fmt.Errorf("read answer: %w", err)
		}
		switch p.Type {
		case openai.EventError:
			return turnFailed(p.Message)
		case openai.EventTextDelta:
			screen.write(p.Delta)
		case openai.EventItemAdded, openai.EventItemDone:
			if p.Item != nil && p.Item.Type == openai.ItemMCPCall {
				screen.call(*p.Item, p.Event.Data.Description)
			}
		case openai.EventCompleted, openai.EventIncomplete, openai.EventFailed:
			last = p.Response
		}
	}
}

// printResponse prints the whole response for a program.
func (c *conversation) printResponse(ctx context.Context, body io.Reader) error {
	data, err := io.ReadAll(body)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("the answer was cut off (%w); see: %s", err, c.command("gateway", "logs", string(c.profile.Name)))
	}
	var last ended
	var indented bytes.Buffer
	if err := errors.Join(json.Unmarshal(data, &last), json.Indent(&indented, data, "", "  ")); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	c.printf("%s\n", bytes.TrimSpace(indented.Bytes()))
	return c.conclude(&last)
}

func turnFailed(why string) error {
	return fmt.Errorf("the turn failed: %s", cmp.Or(why, "no reason was given"))
}

// conclude is the error of a turn that failed, and says why an answer may be shorter
// than it should be.
func (c *conversation) conclude(last *ended) error {
	switch {
	case last == nil:
		return fmt.Errorf("the answer was cut off; see: %s", c.command("gateway", "logs", string(c.profile.Name)))
	case last.Error != nil:
		return turnFailed(last.Error.Message)
	}
	c.answered = true
	if last.Incomplete == nil {
		return nil
	}
	switch last.Incomplete.Reason {
	case openai.ReasonMaxOutputTokens:
		c.errorf("the answer is cut: it reached the model's limit of length")
	case openai.ReasonContentFilter:
		c.errorf("the answer is cut: the model's provider filtered it")
	case openai.ReasonCancelled:
		return errors.New("the turn was cancelled")
	}
	return nil
}
