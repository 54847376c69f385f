package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"hermes/configs"
)

const (
	// probeLimit is how long an upstream has to list its models.
	probeLimit = 5 * time.Second
	// probeSize bounds that list, in bytes.
	probeSize = 4 << 20
)

// errNoList is returned for an endpoint that answers but cannot list its models,
// as some do that serve a single one.
var errNoList = errors.New("answers, but does not list its models")

// listModels asks an endpoint for its models, which also tells whether it can be
// reached and takes the key. All kinds of servers have the same kind of list.
func listModels(ctx context.Context, up configs.Upstream) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, listAddress(up), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	// Anthropic's own server takes a bearer for a token of another kind.
	own := request.URL.Hostname() == "api.anthropic.com"
	if up.Provider == configs.Anthropic || own {
		request.Header.Set("Anthropic-Version", "2023-06-01")
		if !up.APIKey.IsZero() {
			request.Header.Set("X-Api-Key", up.APIKey.Reveal())
		}
	}
	if !up.APIKey.IsZero() && !own {
		request.Header.Set("Authorization", "Bearer "+up.APIKey.Reveal())
	}
	// No proxy, since workers use none either.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, bare(err)
	}
	defer func() { _ = response.Body.Close() }()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("refuses the key (%d)", response.StatusCode)
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return nil, errNoList
	default:
		return nil, fmt.Errorf("answers %s", response.Status)
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, probeSize))
	if err != nil {
		return nil, bare(err)
	}
	if json.Unmarshal(data, &list) != nil {
		return nil, errNoList
	}
	var ids []string
	for _, model := range list.Data {
		ids = append(ids, model.ID)
	}
	return ids, nil
}

// listAddress is where an endpoint lists its models. The base URLs of Anthropic
// and Ollama may be written with or without /v1.
func listAddress(up configs.Upstream) string {
	if up.Provider == configs.Anthropic || up.Provider == configs.Ollama {
		return strings.TrimSuffix(up.BaseURL, "/v1") + "/v1/models"
	}
	return up.BaseURL + "/models"
}
