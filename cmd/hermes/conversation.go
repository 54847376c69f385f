package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor"
	"hermes/worker/openai"
)

const (
	// chatConnect is how long a worker has to take a connection.
	chatConnect = 5 * time.Second
	// chatStart is how long a worker is waited for that starts, or soon will, and chatLook
	// how often it is looked whether it has started.
	chatStart = 10 * time.Second
	chatLook  = 100 * time.Millisecond
	// chatError bounds how much of an error's body is read, in bytes.
	chatError = 64 << 10
)

// conversation is a chat with one profile's API, which keeps it under a name: no
// more than the next message is sent.
type conversation struct {
	*app
	profile profiles.Profile
	server  configs.APIServer
	http    *http.Client
	// locate finds where the profile is served before anything is sent there.
	locate func(ctx context.Context) (configs.APIServer, error)
	// name is the conversation's in the API.
	name string
	// quiet shows nothing but the answer, json the whole response instead of it.
	quiet, json bool
	// answered says that there is something to go on with.
	answered bool
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
	status, found, err := started(ctx, func() (supervisor.ProfileStatus, bool, error) {
		list, err := c.gateways(ctx, home)
		status, found := states(list)[c.profile.Name]
		return status, found, err
	})
	end()
	switch {
	case err != nil:
		return c.server, err
	case !found || status.State == supervisor.StateStopped && !c.server.Enabled:
		return c.server, c.unserved("no running gateway serves it")
	case status.State != supervisor.StateReady && status.State != supervisor.StateSleeping:
		return c.server, c.notReady(status)
	case status.URL == "":
		return c.server, nil
	}
	return at(c.server, status.URL)
}

// started asks how a profile is until its worker neither starts nor soon will, or has done
// so for too long.
func started(ctx context.Context, ask func() (supervisor.ProfileStatus, bool, error)) (status supervisor.ProfileStatus, found bool, err error) {
	until := time.Now().Add(chatStart)
	limit := time.NewTimer(chatStart)
	defer limit.Stop()
	look := time.NewTicker(chatLook)
	defer look.Stop()
	for {
		status, found, err = ask()
		soon := status.State == supervisor.StateStarting || status.State == supervisor.StateBackoff && status.Retry.Before(until)
		if err != nil || !found || !soon {
			return status, found, err
		}
		select {
		case <-ctx.Done():
			return status, found, ctx.Err()
		case <-limit.C:
			return status, found, nil
		case <-look.C:
		}
	}
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

// wish is a request for a response. Its fields are those of the API that are used
// here.
type wish struct {
	Model        string `json:"model"`
	Input        string `json:"input"`
	Conversation string `json:"conversation"`
	Stream       bool   `json:"stream"`
}

// say sends a message and prints the answer. A turn ends when ctx does: the
// connection is closed then, which stops it on the other side.
func (c *conversation) say(ctx context.Context, message string) error {
	server, err := c.locate(ctx)
	if err != nil {
		return err
	}
	c.server = server
	request, err := c.request(ctx, message)
	if err != nil {
		return err
	}
	screen := newScreen(ctx, c)
	defer screen.end()
	response, err := c.http.Do(request)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode != http.StatusOK:
		return c.refused(response)
	case c.json:
		return c.printResponse(ctx, response.Body)
	default:
		return c.follow(ctx, response.Body, screen)
	}
}

func (c *conversation) request(ctx context.Context, message string) (*http.Request, error) {
	body, err := json.Marshal(wish{Model: c.server.ModelName, Input: message, Conversation: c.name, Stream: !c.json})
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL(c.server)+"/responses", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", openai.TerminalAgent+readBuild().Version)
	if !c.server.Key.IsZero() {
		request.Header.Set("Authorization", "Bearer "+c.server.Key.Reveal())
	}
	return request, nil
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
		return fmt.Errorf("the API of %s refused the key in its settings (401): if the key was changed just now, wait for it with: %s; if not, another program listens on %s",
			c.profile.Name, c.command("gateway", "reload"), baseURL(c.server))
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
