package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"hermes/worker/openai"
	"hermes/worker/store"
)

// capabilitiesBody says what this server does, for programs that want to know
// before they try. It stays the same for as long as the server runs.
type capabilitiesBody struct {
	Object       string           `json:"object"` // capabilities
	Server       serverBody       `json:"server"`
	Model        string           `json:"model"`
	Endpoints    []operation      `json:"endpoints"`
	Features     features         `json:"features"`
	Tools        []string         `json:"tools"`
	ToolProgress toolProgressBody `json:"tool_progress"`
	ToolItems    toolItemsBody    `json:"tool_items"`
	Limits       boundsBody       `json:"limits"`
	OnDisconnect string           `json:"on_disconnect"`
}

type serverBody struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// features are what clients can rely on, or not. A test tries each of them.
type features struct {
	ChatCompletions bool `json:"chat_completions"`
	Responses       bool `json:"responses"`
	// ResponsesResume is a stream that goes on behind any event of it.
	ResponsesBackground bool `json:"responses_background"`
	ResponsesResume     bool `json:"responses_resume"`
	// PreviousResponseID and Conversations are the two ways to follow a turn.
	PreviousResponseID bool `json:"previous_response_id"`
	Conversations      bool `json:"conversations"`
	Streaming          bool `json:"streaming"`
	// TextStreaming is false where a stream holds the whole text in one piece
	// (model.streaming).
	TextStreaming    bool `json:"text_streaming"`
	StreamUsage      bool `json:"stream_usage"`
	Reasoning        bool `json:"reasoning"`
	ServerTools      bool `json:"server_tools"`
	ClientTools      bool `json:"client_tools"`
	HostedTools      bool `json:"hosted_tools"` // that a request names, such as web_search
	StructuredOutput bool `json:"structured_output"`
	ImageInput       bool `json:"image_input"`
	FileInput        bool `json:"file_input"`
	AudioInput       bool `json:"audio_input"`
	BackgroundTasks  bool `json:"background_tasks"` // of frontends
	IdempotencyKeys  bool `json:"idempotency_keys"`
	CORS             bool `json:"cors"`
	Metrics          bool `json:"metrics"`
}

// toolProgressBody says how streams show tools: display.tool_progress, and what
// it comes to for requests of Open WebUI and of all others.
type toolProgressBody struct {
	Setting   string   `json:"setting"`
	Forms     []string `json:"forms"`
	OpenWebUI string   `json:"openwebui"`
	Others    string   `json:"others"`
}

// toolItemsBody says which items of a response show a tool that the agent ran:
// api_server.tool_items, and what it comes to for requests of Open WebUI, of SDKs
// that would run a function_call themselves, and of all others.
type toolItemsBody struct {
	Setting   string   `json:"setting"`
	Forms     []string `json:"forms"`
	OpenWebUI string   `json:"openwebui"`
	SDKs      string   `json:"sdks"`
	Others    string   `json:"others"`
}

// boundsBody holds what a request or a turn may run into. Nil is no limit.
type boundsBody struct {
	MaxBodyBytes       int64 `json:"max_body_bytes"`
	MaxConcurrentTurns int   `json:"max_concurrent_turns"`
	MaxWaitingTurns    int   `json:"max_waiting_turns"`
	MaxWaitSeconds     int   `json:"max_wait_seconds"`
	MaxConcurrentTasks int   `json:"max_concurrent_tasks"`
	// MaxBackground is how many responses may be made in the background at once.
	MaxBackground   int `json:"max_background_responses"`
	StoredResponses int `json:"stored_responses"`
	// KeySeconds is how long the answer to an Idempotency-Key is kept.
	KeySeconds     int    `json:"idempotency_key_seconds"`
	MaxClientTools int    `json:"max_client_tools"`
	TurnsPerMinute *int   `json:"turns_per_minute"`
	TokensPerDay   *int64 `json:"tokens_per_day"`
}

// showCapabilities answers GET /v1/capabilities.
func (s *Server) showCapabilities(c echo.Context) error {
	body, err := s.encodeCapabilities(s.now.Load())
	if err != nil {
		return err
	}
	return c.JSONBlob(http.StatusOK, body)
}

func (s *Server) encodeCapabilities(now *settings) ([]byte, error) {
	endpoints, err := s.endpoints()
	if err != nil {
		return nil, err
	}
	tools := s.opts.Tools
	if s.opts.CurrentTools != nil {
		tools = s.opts.CurrentTools()
	}
	served := func(path string) bool {
		return slices.ContainsFunc(endpoints, func(o operation) bool { return o.Path == path })
	}
	body := capabilitiesBody{
		Object: "capabilities", Server: serverBody{"hermes", s.opts.Version}, Model: s.opts.ModelName,
		Endpoints: endpoints,
		Features: features{
			ChatCompletions: served("/v1/chat/completions"),
			Responses:       served("/v1/responses"),

			ResponsesBackground: served("/v1/responses"),
			ResponsesResume:     served("/v1/responses/{id}"),
			PreviousResponseID:  served("/v1/responses"),
			Conversations:       served("/v1/responses"),

			Streaming:        true,
			TextStreaming:    s.opts.Streaming,
			StreamUsage:      true,
			Reasoning:        true,
			ServerTools:      len(tools) > 0,
			ClientTools:      true,
			StructuredOutput: true,
			ImageInput:       true,
			FileInput:        true,
			BackgroundTasks:  true,
			IdempotencyKeys:  slices.ContainsFunc(endpoints, func(o operation) bool { return slices.Contains(o.headers, "Idempotency-Key") }),
			CORS:             len(now.origins) > 0,
			Metrics:          served("/metrics"),
		},
		Tools: append([]string{}, tools...),
		ToolProgress: toolProgressBody{
			Setting: now.ToolProgress, Forms: []string{"inline", "event", "both", "off"},
			OpenWebUI: progressOf(now.ToolProgress, true).name(), Others: progressOf(now.ToolProgress, false).name(),
		},
		ToolItems: toolItemsBody{
			Setting: s.opts.ToolItems, Forms: []string{openai.ItemFunctionCall, openai.ItemMCPCall},
			OpenWebUI: toolItemsOf(s.opts.ToolItems, nil, true).name(),
			SDKs:      toolItemsOf(s.opts.ToolItems, http.Header{"User-Agent": {"ai-sdk/"}}, false).name(),
			Others:    toolItemsOf(s.opts.ToolItems, nil, false).name(),
		},
		Limits: boundsBody{
			MaxBodyBytes:       s.opts.MaxBodyBytes,
			MaxConcurrentTurns: now.MaxConcurrentRuns,
			MaxWaitingTurns:    roomOf(now.MaxConcurrentRuns),
			MaxWaitSeconds:     int(maxWait.Seconds()),
			MaxConcurrentTasks: maxTasks,
			MaxBackground:      roomOf(now.MaxConcurrentRuns),
			StoredResponses:    s.opts.StoredResponses,
			KeySeconds:         int(store.IdempotencyTTL.Seconds()),
			MaxClientTools:     maxTools,
		},
		OnDisconnect: now.OnDisconnect,
	}
	if body.ToolProgress.Setting == "" {
		body.ToolProgress.Setting = "auto"
	}
	if body.ToolItems.Setting == "" {
		body.ToolItems.Setting = "auto"
	}
	if body.OnDisconnect == "" {
		body.OnDisconnect = "cancel"
	}
	if n := now.Limits.TurnsPerMinute; n > 0 {
		body.Limits.TurnsPerMinute = &n
	}
	if n := now.Limits.TokensPerDay; n > 0 {
		body.Limits.TokensPerDay = &n
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode capabilities: %w", err)
	}
	return encoded, nil
}

// name is the word for it in display.tool_progress.
func (p progress) name() string {
	switch p {
	case progress{inline: true, events: true}:
		return "both"
	case progress{inline: true}:
		return "inline"
	case progress{events: true}:
		return "event"
	default:
		return "off"
	}
}

// name is the word for it in api_server.tool_items.
func (i toolItems) name() string {
	if i == toolMCPCalls {
		return openai.ItemMCPCall
	}
	return openai.ItemFunctionCall
}
