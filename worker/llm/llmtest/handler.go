package llmtest

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Reply is what a Handler answers to one call. Fields that are left zero do
// nothing, so the zero Reply is an empty answer.
type Reply struct {
	// Reasoning and Chunks are the pieces of the answer's reasoning_content and
	// content. Each is one event of a stream.
	Reasoning []string
	Chunks    []string
	Calls     []ToolCall
	// Finish is stop or tool_calls when it is empty, as fits Calls.
	Finish string
	// Prompt and Completion are the token counts of the usage. Where they are 0
	// a quarter of the bytes is reported.
	Prompt     int
	Completion int

	// Status, when it is no success, is the whole answer: an error body with
	// Message, and RetryAfter as the header of that name.
	Status     int
	Message    string
	RetryAfter string

	// Gate delays each chunk of content until something is received from it.
	Gate <-chan struct{}
	// Gap is a pause before each chunk of content.
	Gap time.Duration
	// Extra is put in front of the choices of each event of a stream: members of
	// an object that mean nothing here, each with a comma after it, as providers
	// send them.
	Extra string
	// Burst sends all events in one write, as a proxy in between might.
	Burst bool

	// Cut ends the answer after its content, in the middle of a JSON object.
	Cut bool
	// Hang stops after the content and waits until the client leaves.
	Hang bool
	// StreamError is sent as an error event after the content.
	StreamError string
	// Raw, when it is set, is sent as the body, as it is.
	Raw string
}

// Text makes a Reply of one chunk.
func Text(text string) Reply { return Reply{Chunks: []string{text}} }

// Handler is an upstream without a listener: POST …/chat/completions and GET
// …/models, with or without /v1 in front. Make one with NewHandler; set its
// fields before it is used.
type Handler struct {
	// Key, when it is set, is the bearer key that requests must carry.
	Key string
	// Model is the id that …/models lists, "tiny" if it is empty.
	Model string
	// Keep is how many calls Calls remembers, the newest. 0 means 1,000, less
	// than 0 none.
	Keep int

	answer  func(Call) Reply
	mux     *http.ServeMux
	open    atomic.Int64
	arrived chan Call
	gone    chan Call

	mu    sync.Mutex // guards what follows
	n     int
	calls []Call
}

// signals is how many calls Arrived and Gone hold for a reader. Further ones
// are dropped.
const signals = 1024

// NewHandler makes a Handler that answers what the function says. It is called
// by many goroutines at once. Nil means Tiny.
func NewHandler(answer func(Call) Reply) *Handler {
	if answer == nil {
		answer = Tiny
	}
	h := &Handler{answer: answer, arrived: make(chan Call, signals), gone: make(chan Call, signals)}
	h.mux = http.NewServeMux()
	for _, prefix := range []string{"", "/v1"} {
		h.mux.HandleFunc("POST "+prefix+"/chat/completions", h.completions)
		h.mux.HandleFunc("GET "+prefix+"/models", h.models)
	}
	return h
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := []byte("Bearer " + h.Key)
	if h.Key != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), key) == 0 {
		writeError(w, http.StatusUnauthorized, "Incorrect API key provided.")
		return
	}
	h.mux.ServeHTTP(w, r)
}

// Calls returns the remembered calls, oldest first.
func (h *Handler) Calls() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.calls)
}

// Open returns how many completions are being answered right now.
func (h *Handler) Open() int { return int(h.open.Load()) }

// Arrived hands out each call when it has been read, before it is answered.
func (h *Handler) Arrived() <-chan Call { return h.arrived }

// Gone hands out each call whose client left before its answer was complete.
func (h *Handler) Gone() <-chan Call { return h.gone }

func (h *Handler) models(w http.ResponseWriter, _ *http.Request) {
	id := h.Model
	if id == "" {
		id = "tiny"
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"object": "list",
		"data":   []any{map[string]any{"id": id, "object": "model", "created": created, "owned_by": "llmtest"}},
	})
}

func (h *Handler) completions(w http.ResponseWriter, r *http.Request) {
	h.open.Add(1)
	defer h.open.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		writeError(w, http.StatusBadRequest, "The request could not be read: "+err.Error())
		return
	}
	call, err := Call{Path: r.URL.Path, Header: r.Header.Clone(), Body: body}.decode()
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	call = h.record(call)
	signal(h.arrived, call)

	reply := h.answer(call)
	for i := range reply.Calls {
		if reply.Calls[i].ID == "" {
			reply.Calls[i].ID = "call_" + strconv.Itoa(call.N) + "_" + strconv.Itoa(i)
		}
	}
	a := answering{call: call, reply: reply, w: w, control: http.NewResponseController(w), ctx: r.Context()}
	if !a.send() {
		signal(h.gone, call)
	}
	if reply.Cut {
		// The connection breaks here, so that the client sees no proper end.
		panic(http.ErrAbortHandler)
	}
}

// record numbers a call and remembers it.
func (h *Handler) record(call Call) Call {
	keep := h.Keep
	if keep == 0 {
		keep = 1000
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.n++
	call.N = h.n
	if keep < 0 {
		return call
	}
	h.calls = append(h.calls, call)
	if len(h.calls) > keep {
		h.calls = slices.Delete(h.calls, 0, len(h.calls)-keep)
	}
	return call
}

// signal tells a reader, if there is room to.
func signal(to chan<- Call, call Call) {
	select {
	case to <- call:
	default:
	}
}

func writeError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"error": errorBody(status, message)})
}

// errorBody is the error object of the API.
func errorBody(status int, message string) map[string]any {
	kind, code := "server_error", any(nil)
	switch status {
	case http.StatusUnauthorized:
		kind, code = "invalid_request_error", "invalid_api_key"
	case http.StatusTooManyRequests:
		kind, code = "rate_limit_error", "rate_limit_exceeded"
	case http.StatusPaymentRequired:
		kind, code = "insufficient_quota", "insufficient_quota"
	default:
		if status < http.StatusInternalServerError {
			kind = "invalid_request_error"
		}
	}
	return map[string]any{"message": message, "type": kind, "param": nil, "code": code}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Errorf("encode answer: %w", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // a client that has left needs no answer
}
