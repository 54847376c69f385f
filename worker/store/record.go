package store

import "time"

// What a run can be. A run is StatusRunning until EndRun or recovery says
// otherwise.
const (
	StatusRunning     = "running"
	StatusDone        = "done"
	StatusFailed      = "failed"
	StatusCancelled   = "cancelled"
	StatusInterrupted = "interrupted" // its process died
)

// What a tool call can be. It begins as CallPending, when the message that asks
// for it is recorded.
const (
	CallPending     = "pending"
	CallRunning     = "running"
	CallDone        = "done"
	CallFailed      = "failed"
	CallInterrupted = "interrupted" // its process died, or its run ended without it
)

// The roles of messages.
const (
	RoleUser      = "user"
	RoleAssistant = "assistant"
	RoleTool      = "tool"
)

// Interrupted is the result of a call whose true result nobody will ever know.
const Interrupted = "interrupted; its effects are unknown"

// Session groups the runs of one chat.
type Session struct {
	ID string `db:"id"`
	// Source names the endpoint or command that opened the session.
	Source string `db:"source"`
	// ParentID is the session that handed a task on to this one, "" if none did.
	ParentID string `db:"parent_id"`
	// Created and Updated are when its first and its last run began. They are
	// set by the store.
	Created time.Time `db:"-"`
	Updated time.Time `db:"-"`
}

// Run is one turn of the agent.
type Run struct {
	ID        string `db:"id"`
	SessionID string `db:"session_id"`
	// ParentID is the run that handed a task on to this one, "" if none did.
	ParentID  string `db:"parent_run_id"`
	Source    string `db:"source"`
	RequestID string `db:"request_id"`
	Model     string `db:"model"`
	// History names the history of a chat that the run answers, as its client shows
	// it: see Unheard. It is not read back.
	History string `db:"-"`
	// Began is when the run began; zero means now.
	Began time.Time `db:"-"`
	// Ended is zero while the run is StatusRunning. From here on the fields are
	// set by EndRun or by recovery.
	Ended      time.Time `db:"-"`
	Status     string    `db:"status"`
	Error      string    `db:"error"`
	Iterations int       `db:"iterations"`
	// AwaitingUser says that it ended with a question.
	AwaitingUser bool `db:"awaiting_user"`
	// Isolation is the level of the walls around its commands, "" if nobody noted it.
	Isolation string `db:"isolation"`
	Usage
}

// Usage counts the tokens of a run.
type Usage struct {
	Input     int `db:"input_tokens"`
	Output    int `db:"output_tokens"`
	Cached    int `db:"cached_tokens"`    // part of Input
	Reasoning int `db:"reasoning_tokens"` // part of Output
}

// Message is one entry of a session's transcript. Messages of users and of the
// model are a Body; results of tools are a ToolCallID and a Text, which are the
// same whether the tool's end was seen or the process died before it.
type Message struct {
	// ID orders the messages of a session. It is set by the store.
	ID        int64  `db:"id"`
	SessionID string `db:"session_id"`
	RunID     string `db:"run_id"`
	Role      string `db:"role"`
	// Body is the message as its writer encoded it; the store never looks at it.
	Body []byte `db:"body"`
	// ToolCallID names the call that a tool message answers.
	ToolCallID string `db:"tool_call_id"`
	// Text is what the model is told of that call. Of other messages it is what can
	// be read and searched of them, which their writer takes out of the body; it
	// may be their beginning.
	Text string `db:"text"`
	// At is when the message was recorded; zero means now.
	At time.Time `db:"-"`
}

// ToolCall is a call that an assistant message asked for.
type ToolCall struct {
	// ID is unique within the run.
	ID        string `db:"id"`
	RunID     string `db:"run_id"`
	Name      string `db:"name"`
	Arguments string `db:"arguments"`
	// MessageID is the message that asked for the call, Position its place
	// there, from 0. From here on the fields are set by the store.
	MessageID int64  `db:"message_id"`
	Position  int    `db:"position"`
	Status    string `db:"status"`
	// Result is what the model was told of the call, empty until it ended.
	Result  string    `db:"result"`
	Started time.Time `db:"-"`
	Ended   time.Time `db:"-"`
}

// ToolResult is how a call ended.
type ToolResult struct {
	Text   string
	Failed bool
	// At is when it ended; zero means now.
	At time.Time
}

// End is how a run ended.
type End struct {
	// Status is StatusDone, StatusFailed or StatusCancelled.
	Status     string
	Error      string
	Usage      Usage
	Iterations int
	// AwaitingUser says that the run ended with a question, whose answer is the next
	// message of the user.
	AwaitingUser bool
	// Isolation is the level of the walls around its commands, "" if it is not known.
	Isolation string
	// At is when it ended; zero means now.
	At time.Time
}

// micros and fromMicros turn times into what columns hold, and back. The zero
// time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}
