package supervisor

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
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hermes/profiles"
)

const (
	// callLimit is how long a running gateway has to answer a call.
	callLimit = 15 * time.Second
	// answerSize bounds an answer in bytes; that of a thousand profiles in trouble
	// stays below.
	answerSize = 32 << 20
)

// Client talks to one running gateway.
type Client struct {
	name string
	path string
	http *http.Client
}

// Gateways returns a client for every gateway of home that answers, that of all
// profiles first. A directory that does not exist holds none.
func Gateways(ctx context.Context, home profiles.Home) ([]*Client, error) {
	var found []*Client
	for _, dir := range socketDirs(home.Dir()) {
		if err := dir.check(); errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("list gateways: %w", err)
		}
		paths, err := filepath.Glob(filepath.Join(escapeGlob(dir.path), "*.sock"))
		if err != nil {
			return nil, fmt.Errorf("list gateways: %w", err)
		}
		for _, path := range paths {
			conn, err := dialSocket(ctx, path)
			if err != nil {
				continue // left behind by a gateway that was killed
			}
			if err := conn.Close(); err != nil {
				return nil, fmt.Errorf("list gateways: %w", err)
			}
			client := newClient(path)
			if client.name == socketAll {
				found = append([]*Client{client}, found...)
				continue
			}
			found = append(found, client)
		}
	}
	return found, ctx.Err()
}

func newClient(path string) *Client {
	return &Client{
		name: strings.TrimSuffix(filepath.Base(path), ".sock"),
		path: path,
		http: &http.Client{
			Transport: &http.Transport{
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return dialSocket(ctx, path)
				},
				DisableKeepAlives:     true,
				ResponseHeaderTimeout: callLimit,
			},
			Timeout: callLimit,
		},
	}
}

// Name is "all", or the name of the profile that the gateway serves.
func (c *Client) Name() string { return c.name }

// Status asks the gateway how it stands.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var status Status
	err := c.call(ctx, http.MethodGet, pathStatus, nil, &status)
	return status, err
}

// Stop asks the gateway to stop and waits until it is gone or ctx has ended. A
// gateway that runs turns may take as long as the drain timeouts of its profiles
// allow; calling Stop again, with Now set, cuts that short.
func (c *Client) Stop(ctx context.Context, request StopRequest) error {
	if err := c.call(ctx, http.MethodPost, pathStop, request, nil); err != nil {
		return err
	}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		conn, err := dialSocket(ctx, c.path)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist):
			return nil
		case err == nil:
			err = conn.Close()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the gateway: %w", errors.Join(context.Cause(ctx), err))
		}
	}
}

// Reload has the gateway look at its settings at once, and returns how each profile
// stands when nothing is under way any more.
func (c *Client) Reload(ctx context.Context) ([]Outcome, error) {
	var outcomes []Outcome
	err := c.patient().call(ctx, http.MethodPost, pathReload, struct{}{}, &outcomes)
	return outcomes, err
}

// Act has one of the actions done to a profile.
func (c *Client) Act(ctx context.Context, name, action string, request ActionRequest) (Outcome, error) {
	var outcome Outcome
	path := strings.NewReplacer("{name}", url.PathEscape(name), "{action}", url.PathEscape(action)).Replace(pathAction)
	err := c.patient().call(ctx, http.MethodPost, path, request, &outcome)
	return outcome, err
}

// Events calls on for each event that the gateway keeps, and with follow for those
// to come, until the gateway or ctx has ended. It begins behind after, the last
// event that the caller has seen of it; the zero Event is before the first. A
// caller that is too slow for the gateway gets io.EOF, and may come again.
func (c *Client) Events(ctx context.Context, after Event, follow bool, on func(Event) error) error {
	query := url.Values{"follow": {strconv.FormatBool(follow)}, "since": {strconv.FormatInt(after.Seq, 10)}, "gateway": {strconv.Itoa(after.Gateway)}}
	if after.Gateway == 0 {
		query.Del("gateway")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gateway"+pathEvents+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return fmt.Errorf("ask for events: %w", err)
	}
	response, err := c.patient().http.Do(request)
	if err != nil {
		return fmt.Errorf("ask for events: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for events: the gateway answered %s; it may be an older one, restart it", response.Status)
	}
	for decoder := json.NewDecoder(response.Body); ; {
		var event Event
		if err := decoder.Decode(&event); err != nil {
			if !follow && errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read events: %w", err)
		}
		if err := on(event); err != nil {
			return err
		}
	}
}

// upgradePoll is how often a gateway is asked whether it is another program yet.
const upgradePoll = 20 * time.Millisecond

// Upgrade has the gateway become another program, that at the absolute path binary
// or the one that it was started from if it is empty, and returns how it stood
// before and after. An error says that it goes on as it was.
func (c *Client) Upgrade(ctx context.Context, binary string) (before, after Status, err error) {
	if before, err = c.Status(ctx); err != nil {
		return before, after, err
	}
	var begun UpgradeStatus
	if err := c.patient().call(ctx, http.MethodPost, pathUpgrade, UpgradeRequest{Binary: binary}, &begun); err != nil {
		return before, after, err
	}
	ticker := time.NewTicker(upgradePoll)
	defer ticker.Stop()
	var silent time.Time // since when it does not answer
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return before, after, fmt.Errorf("wait for the gateway: %w", context.Cause(ctx))
		}
		after, err = c.Status(ctx)
		switch u := after.Upgrade; {
		case err != nil && silent.IsZero():
			silent = time.Now() // a call may come between the two programs
		case err != nil && time.Since(silent) > callLimit:
			return before, after, fmt.Errorf("the gateway does not answer after the upgrade: %w", err)
		case err != nil:
		case after.PID != before.PID:
			return before, after, errors.New("the gateway has died in the upgrade, and another one has been started")
		case after.Image > before.Image:
			return before, after, nil
		case u != nil && u.Attempt == begun.Attempt && !u.Running:
			return before, after, fmt.Errorf("the gateway goes on as it was: %s", u.Error)
		default:
			silent = time.Time{}
		}
	}
}

// patient returns a client that waits for an answer until its context ends.
func (c *Client) patient() *Client {
	patient := newClient(c.path)
	patient.http = &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, c.path) },
		DisableKeepAlives: true,
	}}
	return patient
}

// call makes one call. Out may be nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("call gateway: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call gateway: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("call gateway: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, answerSize))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		var said failure
		if json.Unmarshal(data, &said) != nil || said.Error == "" {
			said.Error = response.Status
		}
		return fmt.Errorf("the gateway refused: %s", said.Error)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	return nil
}

// escapeGlob makes path match itself and nothing else.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
