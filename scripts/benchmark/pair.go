package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// requestRounds rounds of requestsEach requests on either side, after warmUp.
	requestRounds = 15
	requestsEach  = 40
	warmUp        = 100
	// streamRounds streams of chunks on either side.
	streamRounds = 15
	chunks       = 1000
)

// compared is one measurement on both sides. Times are in microseconds.
type compared struct {
	Direct float64 `json:"direct_us"`
	Hermes float64 `json:"hermes_us"`
	// Added is the median of what the rounds found, not the difference of the
	// other two.
	Added float64 `json:"added_us"`
}

// pair is the fake upstream, asked directly and through a worker.
type pair struct {
	client         *http.Client
	direct, hermes target
}

type target struct{ url, key string }

func (h *hermes) pair(ctx context.Context, name string) (*pair, error) {
	port, err := h.run(ctx, "-p", name, "config", "get", "API_SERVER_PORT")
	if err != nil {
		return nil, err
	}
	key, err := h.run(ctx, "-p", name, "config", "get", "API_SERVER_KEY", "--reveal")
	if err != nil {
		return nil, err
	}
	return &pair{
		client: &http.Client{Transport: &http.Transport{DisableCompression: true}},
		direct: target{h.upstream, upstreamKey},
		hermes: target{"http://127.0.0.1:" + port, key},
	}, nil
}

func (p *pair) close() { p.client.CloseIdleConnections() }

// requests measures a question and its short answer, in one piece.
func (p *pair) requests(ctx context.Context) (compared, error) {
	ask := func(to target) (time.Duration, error) {
		return p.ask(ctx, to, `{"model":"m","messages":[{"role":"user","content":"say hello"}]}`, func(body []byte) bool {
			return bytes.Contains(body, []byte(`"content":"hello"`))
		})
	}
	for range warmUp {
		for _, to := range []target{p.direct, p.hermes} {
			if _, err := ask(to); err != nil {
				return compared{}, err
			}
		}
	}
	return p.compare(requestRounds, requestsEach, ask)
}

// streams measures a stream of many chunks, by the chunk.
func (p *pair) streams(ctx context.Context) (compared, error) {
	body := fmt.Sprintf(`{"model":"m","stream":true,"messages":[{"role":"user","content":"stream %d 8"}]}`, chunks)
	last := fmt.Appendf(nil, "%d ", chunks-1)
	ask := func(to target) (time.Duration, error) {
		return p.ask(ctx, to, body, func(body []byte) bool {
			return bytes.Count(body, []byte("\ndata: ")) >= chunks && bytes.Contains(body, last) &&
				bytes.HasSuffix(bytes.TrimSpace(body), []byte("data: [DONE]"))
		})
	}
	if _, err := ask(p.hermes); err != nil {
		return compared{}, err
	}
	c, err := p.compare(streamRounds, 1, ask)
	return compared{c.Direct / chunks, c.Hermes / chunks, c.Added / chunks}, err
}

// compare asks both sides in turn, so that what else the machine does meets both.
func (p *pair) compare(rounds, each int, ask func(target) (time.Duration, error)) (compared, error) {
	var direct, hermes, added []float64
	for range rounds {
		var d, h []float64
		for range each {
			for _, side := range []struct {
				to   target
				into *[]float64
			}{{p.direct, &d}, {p.hermes, &h}} {
				took, err := ask(side.to)
				if err != nil {
					return compared{}, err
				}
				*side.into = append(*side.into, float64(took.Nanoseconds())/1000)
			}
		}
		direct = append(direct, median(d))
		hermes = append(hermes, median(h))
		added = append(added, median(h)-median(d))
	}
	return compared{median(direct), median(hermes), median(added)}, nil
}

// ask sends a chat completion, reads the answer to its end, and says how long
// that took.
func (p *pair) ask(ctx context.Context, to target, body string, right func([]byte) bool) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+to.key)
	request.Header.Set("Content-Type", "application/json")
	began := time.Now()
	response, err := p.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("read answer: %w", err)
	}
	if response.StatusCode != http.StatusOK || !right(answer) {
		return 0, fmt.Errorf("%s answered %s: %.500s", to.url, response.Status, answer)
	}
	return took, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
