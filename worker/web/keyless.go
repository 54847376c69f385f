package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// exaKeyless asks the public MCP server of Exa (https://mcp.exa.ai/mcp). One call
// of a tool is a single request there, so no session and no client library is
// needed. The newest schema wants an objective beside the query; older ones pass
// over it.
func (c *Client) exaKeyless(ctx context.Context, query string, limit int) ([]Result, error) {
	text, err := c.callTool(ctx, c.opts.endpoints.exaMCP, "web_search_exa", map[string]any{
		"query": query, "objective": clip(query, 4000), "numResults": limit,
	})
	if err != nil {
		return nil, err
	}
	return parseExaText(text)
}

// parallelKeyless asks the public MCP server of Parallel
// (https://search.parallel.ai/mcp).
func (c *Client) parallelKeyless(ctx context.Context, query string, _ int) ([]Result, error) {
	text, err := c.callTool(ctx, c.opts.endpoints.parallelMCP, "web_search", map[string]any{
		"objective": query, "search_queries": []string{query}, "session_id": c.session,
	})
	if err != nil {
		return nil, err
	}
	return parseParallel(text)
}

// callTool calls a tool of an MCP server over its HTTP transport and returns the
// text that it answers with.
func (c *Client) callTool(ctx context.Context, address, tool string, arguments map[string]any) (string, error) {
	a, err := c.send(ctx, http.MethodPost, address, http.Header{"Accept": {"application/json, text/event-stream"}}, map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": map[string]any{"name": tool, "arguments": arguments},
	})
	if err != nil {
		return "", err
	}
	return parseMCP(a)
}

// parseMCP takes the text out of the answer to a call of a tool, which is JSON or
// a stream of events.
func parseMCP(a answer) (string, error) {
	if a.status != http.StatusOK {
		return "", refusal(a)
	}
	for _, message := range messages(a.body) {
		var body struct {
			Result *struct {
				Content []struct{ Type, Text string }
				IsError bool
				Meta    map[string]any `json:"_meta"`
			}
			Error *struct{ Message string }
		}
		if json.Unmarshal(message, &body) != nil || body.Result == nil && body.Error == nil {
			continue // a notification, or something else that is not for us
		}
		if body.Error != nil {
			return "", failed(body.Error.Message)
		}
		var text strings.Builder
		for _, content := range body.Result.Content {
			text.WriteString(content.Text)
		}
		// Exa tells of its limit in an answer that is no error otherwise.
		if limited, _ := body.Result.Meta["ai.exa/rateLimited"].(bool); limited || body.Result.IsError {
			return "", failed(text.String())
		}
		return text.String(), nil
	}
	if challenged(a.body) {
		return "", errChallenge
	}
	return "", errNotUnderstood
}

// failed is what a server says of its failure.
func failed(text string) error {
	if text = clip(text, 200); text == "" {
		text = "it failed and does not say why"
	}
	return errors.New(text)
}

// messages are the JSON texts of a body.
func messages(body []byte) [][]byte {
	if trimmed := bytes.TrimSpace(body); bytes.HasPrefix(trimmed, []byte("{")) {
		return [][]byte{trimmed}
	}
	var all [][]byte
	var data []byte
	for line := range bytes.Lines(append(bytes.TrimRight(body, "\r\n"), "\n\n"...)) {
		line = bytes.TrimRight(line, "\r\n")
		if value, found := bytes.CutPrefix(line, []byte("data:")); found {
			data = append(append(data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
		} else if len(line) == 0 && len(data) > 0 {
			all, data = append(all, data), nil
		}
	}
	return all
}

// parseExaText reads the results out of the text that Exa's server makes for
// models: blocks of Title, URL and Highlights, or Text in older versions. One of
// its tools answers in JSON instead.
func parseExaText(text string) ([]Result, error) {
	var body struct{ Results []exaResult }
	if strings.HasPrefix(strings.TrimSpace(text), "{") && json.Unmarshal([]byte(text), &body) == nil {
		var results []Result
		for _, r := range body.Results {
			results = append(results, r.result())
		}
		return results, nil
	}
	var results []Result
	var now Result
	passage := false // the lines that follow are text of the page
	// Where a line stands between two results, a page cannot make up one of its own.
	ruled := strings.Contains(text, "\n---\n")
	add := func() {
		if now.URL != "" {
			results = append(results, now)
		}
		now, passage = Result{}, false
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "---", name == "Title" && now.URL != "" && !passage:
			add()
			if name == "Title" {
				now.Title = value
			}
		case name == "Title" && !passage:
			now.Title = value
		case name == "URL" && now.URL == "":
			now.URL = value
		case (name == "Highlights" || name == "Text" || name == "Summary") && now.URL != "" && !passage:
			passage, now.Description = true, value
		case passage && name == "Title" && value != "" && !ruled:
			add()
			now.Title = value
		case passage && len(now.Description) < 16*maxDescription:
			now.Description += " " + line
		}
	}
	add()
	if len(results) > 0 {
		return results, nil
	}
	switch low := strings.ToLower(text); {
	case strings.Contains(low, "no search results"), strings.Contains(low, "no results"):
		return nil, nil
	case strings.Contains(low, "rate limit"):
		return nil, failed(text)
	default:
		return nil, errNotUnderstood
	}
}

// parseParallel reads the results out of the JSON that Parallel's tool answers
// with.
func parseParallel(text string) ([]Result, error) {
	var body struct {
		Results *[]struct {
			Title, URL string
			Excerpts   []string
		}
		Error any
	}
	if json.Unmarshal([]byte(text), &body) != nil || body.Results == nil {
		if low := strings.ToLower(text); strings.Contains(low, "rate limit") || strings.Contains(low, "too many requests") {
			return nil, failed(text)
		}
		return nil, errNotUnderstood
	}
	var results []Result
	for _, r := range *body.Results {
		results = append(results, Result{r.Title, r.URL, strings.Join(r.Excerpts, " … ")})
	}
	return results, nil
}
