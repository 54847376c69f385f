package mcp

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// What of a server's list of tools is taken.
const (
	maxTools       = 1000
	maxSchema      = 32 << 10 // bytes
	maxDescription = 4 << 10  // bytes
	maxRemoteName  = 256      // bytes
	maxDepth       = 32       // of a schema
	maxName        = 64       // characters that model APIs take
)

// Tool is one tool of a server.
type Tool struct {
	// Name is what a model knows it by: mcp_{server}_{tool}, of letters, digits, _
	// and -, at most 64, and unique.
	Name   string `json:"-"`
	Server string `json:"-"`
	// Remote is what the server knows it by.
	Remote      string `json:"name"`
	Description string `json:"description,omitempty"`
	// Schema is a JSON schema of an object, as model APIs take it.
	Schema json.RawMessage `json:"schema"`
	// ReadOnly is what the server says: that the tool changes nothing.
	ReadOnly bool `json:"read_only,omitempty"`
}

// listTools asks a server for its tools. Those that cannot be used are left out.
func (s *server) listTools(ctx context.Context, session *sdk.ClientSession) ([]Tool, error) {
	var tools []Tool
	seen := map[string]bool{}
	left := 0
	for remote, err := range session.Tools(ctx, nil) {
		if err != nil {
			return nil, fmt.Errorf("list tools: %w", err)
		}
		if len(tools) == maxTools {
			s.log.Warn("MCP server has too many tools", "taken", maxTools)
			break
		}
		tool, problem := takeTool(remote)
		if problem == "" && seen[tool.Remote] {
			problem = "the name stands twice"
		}
		if problem != "" {
			if left++; left <= 20 {
				s.log.Warn("tool of MCP server left out", "tool", cleanText(tool.Remote, maxName), "reason", problem)
			}
			continue
		}
		seen[tool.Remote] = true
		tools = append(tools, tool)
	}
	slices.SortFunc(tools, func(a, b Tool) int { return cmp.Compare(a.Remote, b.Remote) })
	return tools, nil
}

// takeTool cleans a tool, or says what is wrong with it.
func takeTool(remote *sdk.Tool) (tool Tool, problem string) {
	if remote == nil || remote.Name == "" {
		return tool, "it has no name"
	}
	tool.Remote = remote.Name
	if len(remote.Name) > maxRemoteName {
		return tool, "its name is too long"
	}
	schema, problem := takeSchema(remote.InputSchema)
	if problem != "" {
		return tool, problem
	}
	tool.Schema = schema
	tool.Description = cleanText(cmp.Or(remote.Description, remote.Title), maxDescription)
	tool.ReadOnly = remote.Annotations != nil && remote.Annotations.ReadOnlyHint
	return tool, ""
}

func sameTools(a, b []Tool) bool {
	return slices.EqualFunc(a, b, func(a, b Tool) bool {
		return a.Remote == b.Remote && a.Description == b.Description && a.ReadOnly == b.ReadOnly && bytes.Equal(a.Schema, b.Schema)
	})
}

// named gives tools the names that a model calls them by, and sorts them by these.
// Where two would have the same, each gets a part of its own, which does not
// depend on what else there is.
func named(tools []Tool) []Tool {
	count := map[string]int{}
	for i := range tools {
		tools[i].Name = "mcp_" + plain(tools[i].Server) + "_" + plain(tools[i].Remote)
		count[strings.ToLower(tools[i].Name)]++
	}
	for i := range tools {
		t := &tools[i]
		if count[strings.ToLower(t.Name)] == 1 && len(t.Name) <= maxName {
			continue
		}
		sum := sha256.Sum256([]byte(t.Server + "\x00" + t.Remote))
		suffix := "_" + hex.EncodeToString(sum[:4])
		t.Name = t.Name[:min(len(t.Name), maxName-len(suffix))] + suffix
	}
	slices.SortFunc(tools, func(a, b Tool) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Server, b.Server), cmp.Compare(a.Remote, b.Remote))
	})
	// Who makes up such a name on purpose gets nothing for it: a request with a name
	// twice would be refused whole.
	return slices.CompactFunc(tools, func(a, b Tool) bool { return a.Name == b.Name })
}

// plain replaces what may not stand in a name.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, name)
}

// wants says whether the settings let a tool through.
func (c Config) wants(tool string) bool {
	fits := func(pattern string) bool { return matches(pattern, tool) }
	return (len(c.Include) == 0 || slices.ContainsFunc(c.Include, fits)) && !slices.ContainsFunc(c.Exclude, fits)
}

// matches compares a name with a pattern in which a star stands for any characters.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	last := len(parts) - 1
	rest, found := strings.CutPrefix(name, parts[0])
	for _, part := range parts[1:last] {
		if !found {
			return false
		}
		_, rest, found = strings.Cut(rest, part)
	}
	return found && strings.HasSuffix(rest, parts[last])
}
