package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hermes/worker/agent"
	"hermes/worker/llm"
	"hermes/worker/store"
	"hermes/worker/tools"
)

// recorder writes turns into the profile's database. The agent decides the
// order (see agent.Recorder); here its words become rows.
type recorder struct {
	store *store.Store
	level func() string // of the walls around commands and worker; nil is not known
}

var _ agent.Recorder = recorder{}

// Begin records the run and the message that it answers.
func (r recorder) Begin(ctx context.Context, run agent.Run) error {
	body, err := encode(run.Input)
	if err != nil {
		return err
	}
	return r.store.BeginRun(ctx,
		store.Session{ID: run.SessionID, Source: run.Source, ParentID: run.ParentSessionID},
		store.Run{ID: run.ID, ParentID: run.ParentRunID, Source: run.Source, RequestID: run.RequestID, Model: run.Model, History: string(run.Follows), Began: run.Began},
		store.Message{Body: body, Text: searchable(run.Input), At: run.Began})
}

// Assistant records a message of the model and the calls that it asks for.
func (r recorder) Assistant(ctx context.Context, runID string, message llm.Message) error {
	body, err := encode(message)
	if err != nil {
		return err
	}
	calls := make([]store.ToolCall, 0, len(message.ToolCalls))
	for _, call := range message.ToolCalls {
		calls = append(calls, store.ToolCall{ID: call.ID, Name: call.Name, Arguments: call.Arguments})
	}
	return r.store.AppendAssistant(ctx, runID, store.Message{Body: body, Text: searchable(message)}, calls)
}

// ToolStarted records that a call begins.
func (r recorder) ToolStarted(ctx context.Context, runID, callID string, at time.Time) error {
	return r.store.StartTool(ctx, runID, callID, at)
}

// ToolFinished records what the model is told of a call.
func (r recorder) ToolFinished(ctx context.Context, runID, callID string, result tools.Result, at time.Time) error {
	return r.store.FinishTool(ctx, runID, callID, store.ToolResult{Text: result.Text, Failed: result.Failed, At: at})
}

// End records how the run ended, with the message that ended it.
func (r recorder) End(ctx context.Context, runID string, end agent.End) error {
	var final *store.Message
	if end.Final != nil {
		body, err := encode(*end.Final)
		if err != nil {
			return err
		}
		final = &store.Message{Body: body, Text: searchable(*end.Final), At: end.Ended}
	}
	level := ""
	if r.level != nil {
		level = r.level()
	}
	return r.store.EndRun(ctx, runID, store.End{
		Isolation:    level,
		Status:       end.Status,
		Error:        end.Error,
		Iterations:   end.Iterations,
		AwaitingUser: end.AwaitingUser,
		Usage: store.Usage{
			Input: end.Usage.Input, Output: end.Usage.Output,
			Cached: end.Usage.Cached, Reasoning: end.Usage.Reasoning,
		},
		At: end.Ended,
	}, final)
}

// searchableBytes bounds the text of a message that the database keeps beside
// the whole: a person may paste a book.
const searchableBytes = 16_000

// searchable is the text of a message by which it is found, or its beginning.
func searchable(message llm.Message) string {
	text := message.Text()
	return strings.ToValidUTF8(text[:min(len(text), searchableBytes)], "")
}

// encode is the form in which messages are kept.
func encode(message llm.Message) ([]byte, error) {
	body, err := json.Marshal(message)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return body, nil
}
