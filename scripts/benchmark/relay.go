package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// relay is what hermes is measured against where it streams: a server as one
// writes it first, with echo and encoding/json. It decodes every chunk of the
// upstream, encodes it again and flushes it. It checks no key, keeps nothing, and
// adds neither prompt nor tools.
type relay struct {
	upstream string
	client   *http.Client
}

func newRelay(upstream string) http.Handler {
	r := &relay{upstream, &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: streams}}}
	e := echo.New()
	e.POST("/v1/chat/completions", r.chat)
	e.POST("/v1/responses", r.responses)
	return e
}

type relayMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type relayRequest struct {
	Model    string         `json:"model"`
	Stream   bool           `json:"stream"`
	Messages []relayMessage `json:"messages,omitempty"`
	Input    string         `json:"input,omitempty"` // of the Responses API
}

// relayChunk has the fields of a chunk that the API documents.
type relayChunk struct {
	ID                string        `json:"id"`
	Object            string        `json:"object"`
	Created           int64         `json:"created"`
	Model             string        `json:"model"`
	ServiceTier       string        `json:"service_tier,omitempty"`
	SystemFingerprint string        `json:"system_fingerprint,omitempty"`
	Choices           []relayChoice `json:"choices"`
	Usage             *relayUsage   `json:"usage,omitempty"`
}

type relayChoice struct {
	Index        int             `json:"index"`
	Delta        relayDelta      `json:"delta"`
	Logprobs     json.RawMessage `json:"logprobs,omitempty"`
	FinishReason *string         `json:"finish_reason"`
}

type relayDelta struct {
	Role      string      `json:"role,omitempty"`
	Content   *string     `json:"content,omitempty"`
	Refusal   *string     `json:"refusal,omitempty"`
	ToolCalls []relayCall `json:"tool_calls,omitempty"`
}

type relayCall struct {
	Index    int    `json:"index"`
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Function struct {
		Name      string `json:"name,omitempty"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

type relayUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// relayEvent is an event of a stream of the Responses API.
type relayEvent struct {
	Type         string         `json:"type"`
	ItemID       string         `json:"item_id,omitempty"`
	OutputIndex  int            `json:"output_index"`
	ContentIndex int            `json:"content_index"`
	Delta        string         `json:"delta,omitempty"`
	Logprobs     []int          `json:"logprobs"`
	Response     *relayResponse `json:"response,omitempty"`
	Sequence     int            `json:"sequence_number"`
}

type relayResponse struct {
	ID     string `json:"id"`
	Object string `json:"object"`
	Status string `json:"status"`
	Text   string `json:"output_text"`
}

func (r *relay) chat(c echo.Context) error {
	var request relayRequest
	if err := c.Bind(&request); err != nil {
		return err
	}
	id := fmt.Sprintf("chatcmpl-%d", time.Now().UnixNano())
	return r.answer(c, request.Messages, func(w *echo.Response, chunk relayChunk) error {
		chunk.ID, chunk.Model = id, request.Model
		return sendData(w, chunk)
	})
}

func (r *relay) responses(c echo.Context) error {
	var request relayRequest
	if err := c.Bind(&request); err != nil {
		return err
	}
	id := fmt.Sprint(time.Now().UnixNano())
	response := relayResponse{ID: "resp_" + id, Object: "response", Status: "in_progress"}
	var said strings.Builder
	n := 0
	send := func(w *echo.Response, event relayEvent) error {
		event.Sequence = n
		n++
		if _, err := fmt.Fprintf(w, "event: %s\n", event.Type); err != nil {
			return err
		}
		return sendData(w, event)
	}
	return r.answer(c, []relayMessage{{"user", request.Input}}, func(w *echo.Response, chunk relayChunk) error {
		for _, choice := range chunk.Choices {
			if n == 0 {
				if err := send(w, relayEvent{Type: "response.created", Response: &response}); err != nil {
					return err
				}
			}
			if text := choice.Delta.Content; text != nil && *text != "" {
				said.WriteString(*text)
				if err := send(w, relayEvent{Type: "response.output_text.delta", ItemID: "msg_" + id, Delta: *text, Logprobs: []int{}}); err != nil {
					return err
				}
			}
			if choice.FinishReason != nil {
				response.Status, response.Text = "completed", said.String()
				if err := send(w, relayEvent{Type: "response.completed", Response: &response}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// sendData sends a value as the data of an event.
func sendData(w *echo.Response, value any) error {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "data: %s\n\n", encoded); err != nil {
		return err
	}
	w.Flush()
	return nil
}

// answer asks the upstream and hands each chunk of its stream to send.
func (r *relay) answer(c echo.Context, messages []relayMessage, send func(*echo.Response, relayChunk) error) error {
	response, err := r.ask(c.Request().Context(), messages)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	w := c.Response()
	w.Header().Set(echo.HeaderContentType, "text/event-stream")
	w.WriteHeader(http.StatusOK)
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		data, found := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !found {
			continue
		}
		if string(data) == "[DONE]" {
			_, err := w.Write([]byte("data: [DONE]\n\n"))
			return err
		}
		var chunk relayChunk
		if err := json.Unmarshal(data, &chunk); err != nil {
			return err
		}
		if err := send(w, chunk); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (r *relay) ask(ctx context.Context, messages []relayMessage) (*http.Response, error) {
	body, err := json.Marshal(relayRequest{Model: "tiny", Stream: true, Messages: messages})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.upstream+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+upstreamKey)
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("the upstream answered %s", response.Status), response.Body.Close())
	}
	return response, nil
}
