package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"hermes/worker/llm"
	"hermes/worker/store"
)

// ErrNoSession says that there is no session of that id.
var ErrNoSession = errors.New("no such session")

// maxChildren is how many sessions are listed that a session has handed tasks on to.
const maxChildren = 200

// Archive reads the sessions of a profile, beside its worker or without one. It
// changes nothing.
type Archive struct{ store *store.Store }

// OpenArchive reads the database at path. One that is not there holds no
// sessions.
func OpenArchive(path string) *Archive {
	return &Archive{store.Open(path, store.Options{ReadOnly: true})}
}

// Close gives the database back.
func (a *Archive) Close() error { return a.store.Close() }

// Session is a session as a list shows it.
type Session struct {
	ID string `json:"id"`
	// Name is that of its conversation in the Responses API, if it can be gone on
	// with by that.
	Name string `json:"name,omitempty"`
	// Parent is the session that handed a task on to this one.
	Parent string `json:"parent,omitempty"`
	// Title is the beginning of what its user first said.
	Title string `json:"title"`
	// Source is where its first turn came from.
	Source   string    `json:"source"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Messages int       `json:"messages"`
	Turns    int       `json:"turns"`
}

// Entry is a message of a session.
type Entry struct {
	ID    int64     `json:"id"`
	At    time.Time `json:"at"`
	RunID string    `json:"run_id"`
	Role  string    `json:"role"`
	Text  string    `json:"text"`
	// Calls are the tools that the message asks for, CallID and Tool what it is the
	// result of.
	Calls  []llm.ToolCall `json:"calls,omitempty"`
	CallID string         `json:"call_id,omitempty"`
	Tool   string         `json:"tool,omitempty"`
}

// Transcript is a session with all of its messages.
type Transcript struct {
	Session
	// Children are the sessions that it has handed tasks on to.
	Children []Session `json:"children,omitempty"`
	// Isolation is the levels of the walls around its turns, in the order
	// in which they first were so.
	Isolation []string `json:"isolation,omitempty"`
	Entries   []Entry  `json:"entries"`
}

// Match is a session with the parts of it that fit a search.
type Match struct {
	Session
	Hits []Hit `json:"hits"`
}

// Hit is a message that fits, its words between «».
type Hit struct {
	ID      int64     `json:"id"`
	At      time.Time `json:"at"`
	Role    string    `json:"role"`
	Snippet string    `json:"snippet"`
}

// List returns the sessions that were used last, the latest first. Children are those
// that others have handed tasks on to.
func (a *Archive) List(ctx context.Context, limit int, children bool) ([]Session, error) {
	return a.list(ctx, store.Latest{Limit: limit, Children: children})
}

func (a *Archive) list(ctx context.Context, latest store.Latest) ([]Session, error) {
	summaries, err := a.store.Summaries(ctx, latest)
	list := make([]Session, len(summaries))
	if err != nil {
		return list, present(err)
	}
	names, err := a.store.ConversationNames(ctx)
	for i, summary := range summaries {
		list[i] = sessionOf(summary)
		list[i].Name = names[summary.ID]
	}
	return list, err
}

// Search returns the sessions that fit best.
func (a *Archive) Search(ctx context.Context, query string, limit int) ([]Match, error) {
	found, err := a.store.Search(ctx, store.Search{Text: query, Sessions: limit, Hits: 3})
	matches := make([]Match, len(found))
	for i, f := range found {
		matches[i] = Match{Session: sessionOf(f.Summary), Hits: make([]Hit, len(f.Hits))}
		for k, hit := range f.Hits {
			matches[i].Hits[k] = Hit{ID: hit.ID, At: hit.At, Role: hit.Role, Snippet: hit.Snippet}
		}
	}
	return matches, present(err)
}

// present turns a database that is not there into one without sessions.
func present(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Read returns the whole of a session that Find finds.
func (a *Archive) Read(ctx context.Context, ref string) (Transcript, error) {
	session, err := a.Find(ctx, ref, 1)
	if err != nil {
		return Transcript{}, err
	}
	id := session.ID
	summary, err := a.store.Summary(ctx, id)
	if err != nil {
		return Transcript{}, err
	}
	messages, err := a.store.Messages(ctx, id)
	if err != nil {
		return Transcript{}, err
	}
	transcript := Transcript{Session: sessionOf(summary), Entries: make([]Entry, len(messages))}
	transcript.Name = session.Name
	if transcript.Children, err = a.list(ctx, store.Latest{Of: id, Limit: maxChildren}); err != nil {
		return Transcript{}, err
	}
	if transcript.Isolation, err = a.levels(ctx, id); err != nil {
		return Transcript{}, err
	}
	names := map[string]string{} // of calls, whose ids are unique within a run
	calls := map[string]string{} // the newest of that id
	for i, m := range messages {
		entry := Entry{ID: m.ID, At: m.At, RunID: m.RunID, Role: m.Role, Text: m.Text, CallID: m.ToolCallID}
		if m.Role == store.RoleTool {
			entry.Tool = names[m.RunID+" "+m.ToolCallID]
		} else {
			var message llm.Message
			if err := json.Unmarshal(m.Body, &message); err != nil {
				return Transcript{}, fmt.Errorf("decode message %d: %w", m.ID, err)
			}
			entry.Text, entry.Calls = message.Text(), message.ToolCalls
			if message.Role == llm.Tool { // a client has sent it, as what the run answers
				entry.Role, entry.CallID, entry.Tool = store.RoleTool, message.ToolCallID, calls[message.ToolCallID]
			}
			for _, call := range message.ToolCalls {
				names[m.RunID+" "+call.ID], calls[call.ID] = call.Name, call.Name
			}
		}
		transcript.Entries[i] = entry
	}
	return transcript, nil
}

// levels are those that the runs of a session have noted.
func (a *Archive) levels(ctx context.Context, sessionID string) ([]string, error) {
	runs, err := a.store.Runs(ctx, sessionID)
	if err != nil {
		return nil, err
	}
	var levels []string
	for _, run := range runs {
		if run.Isolation != "" && !slices.Contains(levels, run.Isolation) {
			levels = append(levels, run.Isolation)
		}
	}
	return levels, nil
}

func sessionOf(s store.Summary) Session {
	return Session{ID: s.ID, Parent: s.ParentID, Title: s.Title, Source: s.Source, Created: s.Created, Updated: s.Updated, Messages: s.Messages, Turns: s.Runs}
}
