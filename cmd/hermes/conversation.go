package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor"
	"hermes/worker/llm/sse"
	"hermes/worker/openai"
)

const (
	// chatConnect is how long a worker has to take a connection.
	chatConnect = 5 * time.Second
	// chatError bounds how much of an error's body is read, in bytes.
	chatError = 64 << 10
)

// toolLine is the marker of a started tool among the text of an answer, as the
// API sends it: alone in its chunk, an emoji and a label in backticks.
var toolLine = regexp.MustCompile("^\n{1,2}`(\\p{So}[^`\n]*)`\n$")

// conversation is a chat with one profile's API. The API is stateless here, so
// the whole of it is sent with each message.
type conversation struct {
	*app
	profile profiles.Profile
	server  configs.APIServer
	http    *http.Client
	// locate finds where the profile is served before anything is sent there.
	locate   func(ctx context.Context) (configs.APIServer, error)
	messages []openai.Message
}

func newConversation(a *app, profile profiles.Profile, server configs.APIServer) *conversation {
	c := &conversation{
		app: a, profile: profile, server: server,
		http: &http.Client{Transport: &http.Transport{
			// No proxy: the gateway is on this machine.
			DialContext: (&net.Dialer{Timeout: chatConnect}).DialContext,
		}},
	}
	c.locate = c.served
	return c
}

// served asks the running gateways where the profile is served. What listens on
// the port of its settings may be another program, which must not get the key.
func (c *conversation) served(ctx context.Context) (configs.APIServer, error) {
	home, err := c.home()
	if err != nil {
		return c.server, err
	}
	end := c.progress(ctx, func() string { return "asking the gateway" })
	list, err := c.gateways(ctx, home)
	end()
	if err != nil {
		return c.server, err
	}
	status, found := states(list)[c.profile.Name]
	switch {
	case !found || status.State == supervisor.StateStopped && !c.server.Enabled:
		return c.server, c.unserved("no running gateway serves it")
	case status.State != supervisor.StateReady:
		return c.server, c.notReady(status)
	case status.URL == "":
		return c.server, nil
	}
	return at(c.server, status.URL)
}

// notReady explains why nothing is sent to a profile that a gateway has.
func (c *conversation) notReady(status supervisor.ProfileStatus) error {
	next := "see: " + c.command("gateway", "logs", status.Name)
	switch status.State {
	case stateHung:
		return fmt.Errorf("profile %s is %s: %s", status.Name, status.State, oneCell(status.Reason)) // the reason has the next step
	case supervisor.StateStarting, supervisor.StateDraining:
		next = "try again in a moment"
	}
	reason := ""
	if status.Reason != "" {
		reason = ": " + oneCell(status.Reason)
	}
	return fmt.Errorf("profile %s is %s%s; %s", status.Name, status.State, reason, next)
}

// at is server where a gateway says that it listens: a flag or the environment
// of the gateway may have moved it.
func at(server configs.APIServer, address string) (configs.APIServer, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return server, fmt.Errorf("read the gateway's answer: %w", err)
	}
	port, err := strconv.Atoi(parsed.Port())
	if err != nil {
		return server, fmt.Errorf("read the gateway's answer: %s has no port", address)
	}
	server.Host, server.Port = parsed.Hostname(), port
	return server, nil
}

// say sends a message and prints the answer.
func (c *conversation) say(ctx context.Context, message string) error {
	server, err := c.locate(ctx)
	if err != nil {
		return err
	}
	c.server = server
	sent := openai.Message{Role: openai.RoleUser, Content: openai.TextContent(message)}
	body, err := json.Marshal(openai.ChatRequest{
		Model: c.server.ModelName, Messages: append(c.messages, sent), Stream: true,
	})
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL(c.server)+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if !c.server.Key.IsZero() {
		request.Header.Set("Authorization", "Bearer "+c.server.Key.Reveal())
	}
	waiting := c.progress(ctx, func() string { return "waiting for the answer" })
	defer waiting()
	response, err := c.http.Do(request)
	if err != nil {
		waiting()
		return c.unreachable(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return c.refused(response)
	}
	answer, err := c.stream(ctx, response.Body, waiting)
	if err != nil {
		return err
	}
	c.messages = append(c.messages, sent, openai.Message{Role: openai.RoleAssistant, Content: openai.TextContent(answer)})
	return nil
}

// piece is what this command looks at in a chunk. Tool and the fields after it
// stand on the chunks that tell of a tool's progress.
type piece struct {
	Choices []openai.ChunkChoice `json:"choices"`
	Error   *openai.Error        `json:"error"`
	Tool    string               `json:"tool"`
	Emoji   string               `json:"emoji"`
	Label   string               `json:"label"`
	Status  string               `json:"status"`
}

// stream prints an answer as it comes and returns its text. The function begun
// is called before anything is printed.
func (c *conversation) stream(ctx context.Context, body io.Reader, begun func()) (string, error) {
	answer := printer{stdio: c.stdio, colours: c.colours(c.errTTY), begun: begun}
	defer answer.endLine()
	finish := ""
	events := sse.NewReader(body)
	for {
		event, err := events.Next()
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			return "", fmt.Errorf("the answer was cut off (%w); see: %s", err, c.command("gateway", "logs", string(c.profile.Name)))
		}
		if string(event.Data) == "[DONE]" {
			answer.endLine()
			c.explainFinish(finish)
			return strings.TrimRight(answer.text.String(), "\n"), nil
		}
		var p piece
		if err := json.Unmarshal(event.Data, &p); err != nil {
			return "", fmt.Errorf("read answer: %w", err)
		}
		if p.Error != nil {
			return "", fmt.Errorf("the turn failed: %s", cmp.Or(p.Error.Message, "no reason was given"))
		}
		if p.Tool != "" && p.Status == "running" {
			answer.tool(p.Emoji + " " + cmp.Or(p.Label, p.Tool))
		}
		for _, choice := range p.Choices {
			finish = cmp.Or(choice.FinishReason, finish)
			text := choice.Delta.Content.String()
			if match := toolLine.FindStringSubmatch(text); match != nil {
				answer.tool(match[1])
			} else if text != "" {
				answer.write(text)
			}
		}
	}
}

// printer writes an answer to stdout and, for a person, the tools at work in
// between to stderr.
type printer struct {
	stdio

	colours bool
	begun   func() // called before anything is written
	text    strings.Builder
	midLine bool // what was written last has no line break
	acted   bool // a tool was at work since then
}

func (p *printer) write(text string) {
	p.begun()
	if p.acted {
		// What the model says after it used a tool begins a new paragraph.
		if text = strings.TrimLeft(text, "\n"); p.text.Len() > 0 {
			text = "\n" + text
		}
		p.acted = false
	}
	p.text.WriteString(text)
	p.midLine = !strings.HasSuffix(text, "\n")
	if p.outTTY {
		text = printable(text)
	}
	p.printf("%s", text)
}

func (p *printer) tool(label string) {
	p.begun()
	p.endLine()
	p.acted = true
	if p.errTTY {
		p.eprintf("%s\n", dim.paint(p.colours, printable(strings.TrimSpace(label))))
	}
}

func (p *printer) endLine() {
	if p.midLine {
		p.printf("\n")
		p.text.WriteString("\n")
		p.midLine = false
	}
}

// explainFinish says why an answer may be shorter than it should be.
func (c *conversation) explainFinish(reason string) {
	switch reason {
	case "length":
		c.errorf("the answer is cut: it reached the model's limit of length")
	case "content_filter":
		c.errorf("the answer is cut: the model's provider filtered it")
	}
}

// unreachable explains why no answer came.
func (c *conversation) unreachable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s does not answer: %w", baseURL(c.server), bare(err))
	default:
		return c.unserved("nothing listens on " + baseURL(c.server))
	}
}

// unserved says how to have the profile served, which it is not because of why.
func (c *conversation) unserved(why string) error {
	switch {
	case !c.server.Enabled && !c.profile.SetUp():
		return c.notSetUp()
	case !c.server.Enabled:
		return fmt.Errorf("profile %s is not served: its API server is not enabled; enable it with: %s",
			c.profile.Name, c.commandFor(c.profile.Name, "config", "set", "API_SERVER_ENABLED", "true"))
	default:
		return fmt.Errorf("profile %s is not served: %s; start its gateway with: %s",
			c.profile.Name, why, c.commandFor(c.profile.Name, "gateway"))
	}
}

// refused explains an answer that is an error.
func (c *conversation) refused(response *http.Response) error {
	var said struct {
		Error openai.Error `json:"error"`
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, chatError))
	if err == nil {
		err = json.Unmarshal(data, &said)
	}
	message := said.Error.Message
	if err != nil || message == "" {
		message = response.Status
	}
	switch response.StatusCode {
	case http.StatusUnauthorized:
		return fmt.Errorf("the API of %s refused the key in its settings (401): if the key was changed, the gateway has to be started again; if not, another program listens on %s",
			c.profile.Name, baseURL(c.server))
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
			return fmt.Errorf("%s (%d); try again in %d s", message, response.StatusCode, seconds)
		}
	}
	return fmt.Errorf("%s (%d)", message, response.StatusCode)
}

// bare takes the method and the URL off an error of net/http.
func bare(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// baseURL is where clients on this machine reach a profile.
func baseURL(server configs.APIServer) string {
	host := server.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(server.Port)) + "/v1"
}
