package main

import (
	"bytes"
	"context"
	"errors"
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
	// longRounds streams of chunks on either side.
	longRounds = 15
	chunks     = 1000
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
	answer         bytes.Buffer // the current one
	piece          []byte       // what is read of it at once
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
		piece:  make([]byte, 64<<10),
	}, nil
}

func (p *pair) close() { p.client.CloseIdleConnections() }

// question is a request for a short answer, the same for both sides or in the
// words of the API that each of them is asked by.
type question struct {
	direct, hermes request
	// answer is in the answer, and the first text of its stream.
	answer string
	// after is done with an answer of hermes when nobody waits, if it is set.
	after func(answer []byte) error
}

type request struct{ path, body string }

const (
	chatPath      = "/v1/chat/completions"
	responsesPath = "/v1/responses"
)

// hello is a question without a history.
func hello(stream bool) question {
	r := request{chatPath, fmt.Sprintf(`{"model":"m","stream":%t,"messages":[{"role":"user","content":"say hello"}]}`, stream)}
	return question{direct: r, hermes: r, answer: "hello"}
}

// requests measures a question, asked often: until the whole answer is there, or
// until the first of its text is.
func (p *pair) requests(ctx context.Context, q question, first bool) (compared, error) {
	ask := func(to target) (time.Duration, error) {
		r := q.direct
		if to == p.hermes {
			r = q.hermes
		}
		took, err := p.ask(ctx, to, r, func(took timing, body []byte) (time.Duration, bool) {
			if first {
				return took.first, took.first > 0
			}
			return took.whole, bytes.Contains(body, []byte(q.answer))
		}, q.answer)
		if err == nil && to == p.hermes && q.after != nil {
			err = q.after(p.answer.Bytes())
		}
		return took, err
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

// long measures a stream of many chunks, by the chunk.
func (p *pair) long(ctx context.Context) (compared, error) {
	r := request{chatPath, fmt.Sprintf(`{"model":"m","stream":true,"messages":[{"role":"user","content":"stream %d 8"}]}`, chunks)}
	last := fmt.Appendf(nil, "%d ", chunks-1)
	ask := func(to target) (time.Duration, error) {
		return p.ask(ctx, to, r, func(took timing, body []byte) (time.Duration, bool) {
			return took.whole, bytes.Count(body, []byte("\ndata: ")) >= chunks && bytes.Contains(body, last) &&
				bytes.HasSuffix(bytes.TrimSpace(body), []byte("data: [DONE]"))
		}, "")
	}
	if _, err := ask(p.hermes); err != nil {
		return compared{}, err
	}
	c, err := p.compare(longRounds, 1, ask)
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

// timing is when an answer came.
type timing struct {
	first time.Duration // what was looked for in it, 0 if it never came
	whole time.Duration
}

// ask sends a request and reads its answer to the end. Right says how long that
// took, and whether it is the answer to the request.
func (p *pair) ask(ctx context.Context, to target, r request, right func(timing, []byte) (time.Duration, bool), first string) (time.Duration, error) {
	began := time.Now()
	response, err := to.do(ctx, p.client, http.MethodPost, r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	var took timing
	p.answer.Reset()
	for {
		n, err := response.Body.Read(p.piece)
		p.answer.Write(p.piece[:n])
		if took.first == 0 && first != "" && bytes.Contains(p.answer.Bytes(), []byte(first)) {
			took.first = time.Since(began)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("read answer: %w", err)
		}
	}
	took.whole = time.Since(began)
	d, ok := right(took, p.answer.Bytes())
	if !ok {
		return 0, fmt.Errorf("%s answered: %.500s", to.url, p.answer.Bytes())
	}
	return d, nil
}

// do sends a request. The answer's status is one of success.
func (t target) do(ctx context.Context, client *http.Client, method string, r request) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, t.url+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+t.key)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(response.Body, 500))
		return nil, errors.Join(fmt.Errorf("%s answered %s: %s", t.url, response.Status, text), err, response.Body.Close())
	}
	return response, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
