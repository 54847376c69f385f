package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hermes/worker/llm"
)

// What a look into sessions gives at most.
const (
	maxSessions       = 20
	maxHits           = 3 // in one session
	maxWindow         = 20
	firstMessages     = 20
	lastMessages      = 10
	maxMessageRunes   = 2000
	maxSessionBytes   = 30_000
	maxSessionIDBytes = 200
)

// SessionMessage is a message of a session, or the part of it that was found.
type SessionMessage struct {
	ID   int64
	Role string
	Text string
	At   time.Time
}

// SessionInfo is what is told of a session.
type SessionInfo struct {
	ID string
	// Parent is the session that handed a task on to this one, or "".
	Parent   string
	Title    string
	Used     time.Time
	Messages int
	// Hits are the messages of it that were found.
	Hits []SessionMessage
}

// Sessions is what session_search looks into.
type Sessions interface {
	// Search finds the messages that fit best, at most hits in each of at most
	// limit sessions, the best session first. Without is a session to pass over.
	Search(ctx context.Context, query, without string, limit, hits int) ([]SessionInfo, error)
	// Latest returns the sessions that were used last, but for one.
	Latest(ctx context.Context, without string, limit int) ([]SessionInfo, error)
	// Session returns one, and false if there is none of that id.
	Session(ctx context.Context, id string) (SessionInfo, bool, error)
	// Around returns the message of that id with up to window messages on each side.
	Around(ctx context.Context, sessionID string, id int64, window int) ([]SessionMessage, error)
	// Ends returns the first and the last messages of a session.
	Ends(ctx context.Context, sessionID string, first, last int) ([]SessionMessage, error)
}

// sessionSearch is the tool that finds what was said before.
type sessionSearch struct {
	spec     llm.ToolSpec
	sessions Sessions
}

func newSessionSearch(sessions Sessions) *sessionSearch {
	return &sessionSearch{mustSpec("session_search"), sessions}
}

func (t *sessionSearch) Spec() llm.ToolSpec { return t.spec }

func (t *sessionSearch) Emoji() string { return "🔎" }

func (t *sessionSearch) Concurrent() bool { return true }

// sessionArguments are the arguments of session_search.
type sessionArguments struct {
	Query     string `json:"query"`
	SessionID string `json:"session_id"`
	Around    int64  `json:"around_message_id"`
	Window    int    `json:"window"`
	Limit     int    `json:"limit"`
}

func (t *sessionSearch) Label(input json.RawMessage) string {
	arguments, err := decode[sessionArguments](input)
	switch {
	case err != nil:
		return ""
	case arguments.SessionID != "":
		return "recall: " + arguments.SessionID
	case arguments.Query != "":
		return "recall: " + strconv.Quote(arguments.Query)
	default:
		return "recall: latest sessions"
	}
}

func (t *sessionSearch) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[sessionArguments](input)
	if err != nil {
		return Result{}, err
	}
	if t.sessions == nil {
		return Failure("No sessions are kept here."), nil
	}
	arguments.SessionID, arguments.Query = strings.TrimSpace(arguments.SessionID), strings.TrimSpace(arguments.Query)
	arguments.Limit = min(max(arguments.Limit, 1), maxSessions)
	arguments.Window = min(max(arguments.Window, 1), maxWindow)
	var result Result
	switch {
	case arguments.SessionID != "":
		result, err = t.read(ctx, arguments)
	case arguments.Around != 0:
		return Failure("around_message_id needs the session_id that stood beside it."), nil
	case arguments.Query != "":
		result, err = t.search(ctx, arguments)
	default:
		result, err = t.latest(ctx, arguments)
	}
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case err != nil:
		return Failure("The sessions cannot be read: " + err.Error()), nil
	default:
		return result, nil
	}
}

func (t *sessionSearch) search(ctx context.Context, arguments sessionArguments) (Result, error) {
	found, err := t.sessions.Search(ctx, arguments.Query, TurnOf(ctx).SessionID, arguments.Limit, maxHits)
	if err != nil {
		return Result{}, err
	}
	if len(found) == 0 {
		return Result{Text: "Nothing was found in other sessions. Try other words, or fewer."}, nil
	}
	var text strings.Builder
	for _, session := range found {
		writeSession(&text, session)
		for _, hit := range session.Hits {
			writeMessage(&text, hit)
		}
	}
	return Result{Text: bounded(&text)}, nil
}

func (t *sessionSearch) latest(ctx context.Context, arguments sessionArguments) (Result, error) {
	latest, err := t.sessions.Latest(ctx, TurnOf(ctx).SessionID, arguments.Limit)
	if err != nil {
		return Result{}, err
	}
	if len(latest) == 0 {
		return Result{Text: "There are no other sessions."}, nil
	}
	var text strings.Builder
	for _, session := range latest {
		writeSession(&text, session)
	}
	return Result{Text: bounded(&text)}, nil
}

func (t *sessionSearch) read(ctx context.Context, arguments sessionArguments) (Result, error) {
	if arguments.SessionID == TurnOf(ctx).SessionID {
		return Failure("That is this session; you have it before you."), nil
	}
	session, found, err := t.sessions.Session(ctx, arguments.SessionID)
	if err != nil {
		return Result{}, err
	}
	if !found {
		return Failure("There is no session " + shorten(arguments.SessionID) + "."), nil
	}
	var messages []SessionMessage
	if arguments.Around != 0 {
		messages, err = t.sessions.Around(ctx, session.ID, arguments.Around, arguments.Window)
	} else {
		messages, err = t.sessions.Ends(ctx, session.ID, firstMessages, lastMessages)
	}
	if err != nil {
		return Result{}, err
	}
	var text strings.Builder
	writeSession(&text, session)
	for i, message := range messages {
		if arguments.Around == 0 && i == firstMessages && session.Messages > firstMessages+lastMessages {
			fmt.Fprintf(&text, "  [%d messages are left out; around_message_id shows some]\n", session.Messages-len(messages))
		}
		writeMessage(&text, message)
	}
	return Result{Text: bounded(&text)}, nil
}

func writeSession(text *strings.Builder, session SessionInfo) {
	title := session.Title
	if title == "" {
		title = "(no title)"
	}
	id := session.ID[:min(len(session.ID), maxSessionIDBytes)]
	fmt.Fprintf(text, "%s  session %s  %s (%d messages)", session.Used.Format(time.DateTime), id, title, session.Messages)
	if session.Parent != "" {
		fmt.Fprintf(text, ", a task of session %s", session.Parent)
	}
	text.WriteByte('\n')
}

func writeMessage(text *strings.Builder, message SessionMessage) {
	body := strings.TrimSpace(message.Text)
	if body == "" {
		return // a message that is nothing but calls of tools
	}
	if utf8.RuneCountInString(body) > maxMessageRunes {
		body = string([]rune(body)[:maxMessageRunes]) + "…"
	}
	fmt.Fprintf(text, "  #%d %s: %s\n", message.ID, message.Role, strings.ReplaceAll(body, "\n", "\n    "))
}

// bounded cuts what is too long for one result.
func bounded(text *strings.Builder) string {
	all := text.String()
	if len(all) <= maxSessionBytes {
		return all
	}
	return strings.ToValidUTF8(all[:maxSessionBytes], "") + "\n[cut off here; ask for less]\n"
}
