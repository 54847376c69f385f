package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// fetches is an MCP server that fetches pages, over the proxy if there is one, and
// connects to addresses, over nothing.
func fetches() {
	server := mcp.NewServer(&mcp.Implementation{Name: "fetches", Version: "1"}, nil)
	schema := json.RawMessage(`{"type":"object","properties":{"to":{"type":"string"}},"required":["to"]}`)
	add := func(name string, run func(to string) (string, error)) {
		server.AddTool(&mcp.Tool{Name: name, Description: name, InputSchema: schema}, func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			var input struct{ To string }
			if err := json.Unmarshal(req.Params.Arguments, &input); err != nil {
				return nil, err
			}
			said, err := run(input.To)
			if err != nil {
				said = "failed: " + err.Error()
			}
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: said}}}, nil
		})
	}
	// Not by http.ProxyFromEnvironment, which takes none for addresses of this machine.
	proxy, err := url.Parse(os.Getenv("HTTP_PROXY"))
	client := &http.Client{}
	if err == nil && proxy.Host != "" {
		client.Transport = &http.Transport{Proxy: http.ProxyURL(proxy)}
	}
	add("fetch", func(to string) (string, error) {
		resp, err := client.Get("http://" + to + "/")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return string(text), err
	})
	add("connect", func(to string) (string, error) {
		conn, err := net.Dial("tcp", to)
		if err != nil {
			return "", err
		}
		return "connected", conn.Close()
	})
	_ = server.Run(context.Background(), &mcp.StdioTransport{})
}
