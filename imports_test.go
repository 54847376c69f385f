package hermes_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// room is what a package may import of this module.
type room struct {
	may []string
	why string
}

// rooms is the table behind DESIGN.md section 2: a package imports only what
// stands below it. A new package needs a row here, and its reason.
var rooms = map[string]room{
	"configs":                             {nil, "what can be told to a profile is the lowest layer; everybody may know it"},
	"profiles/archive":                    {nil, "it reads a format that anybody may have written; what a profile means is for others"},
	"profiles":                            {[]string{"configs", "profiles/archive"}, "what lies on disk does not know who serves it"},
	"supervisor/handoff":                  {nil, "the contract between parent and child must not pull in either side"},
	"supervisor/confine":                  {nil, "parent and child both hold a profile to its limits; whose, is nobody else's business"},
	"supervisor/sandbox":                  {[]string{"supervisor/sandbox/wall"}, "parent and child both run commands; how, is nobody else's business"},
	"supervisor/sandbox/wall":             {[]string{"supervisor/sandbox/wall/inside"}, "what stands around a command is built before anything else of ours runs in it"},
	"supervisor/sandbox/wall/inside":      {[]string{"supervisor/sandbox/wall/inside/unix"}, "whatever it imports is initialised before a command of an agent begins"},
	"supervisor/sandbox/wall/inside/unix": {nil, "the kernel as the wall needs it, and nothing else"},
	"early":                               {[]string{"supervisor/sandbox/wall/inside"}, "whatever it imports is initialised before a command of an agent begins"},
	"supervisor/sandbox/wall/attack": {
		[]string{"supervisor/sandbox", "supervisor/sandbox/wall", "supervisor/sandbox/wall/inside"}, "it stands where a command does, and knows of the wall only how commands get behind it",
	},
	"supervisor/egress/guard": {nil, "which addresses may be dialled, whoever dials"},
	"supervisor/egress/wire":  {[]string{"supervisor/egress/guard"}, "the way from a worker to egress must not pull in what has the keys"},
	"supervisor/egress/usage": {nil, "it reads what anybody may have written, and knows nothing else"},
	"supervisor/egress":       {[]string{"supervisor/egress/guard", "supervisor/egress/usage", "supervisor/egress/wire"}, "it has every key: it knows what it is told, and nothing of profiles, settings or agents"},
	"supervisor": {
		[]string{"configs", "profiles", "supervisor/confine", "supervisor/egress", "supervisor/egress/wire", "supervisor/handoff", "supervisor/sandbox", "supervisor/sandbox/wall"},
		"the parent knows workers only through supervisor/handoff, so that no code which an agent drives runs in it",
	},

	"worker/openai":       {nil, "wire types stand for themselves"},
	"worker/store":        {nil, "the database keeps values and knows no meaning"},
	"worker/llm":          {nil, "a model as the agent sees it; who speaks to which upstream stands below it in the tree, above it in the imports"},
	"worker/llm/sse":      {nil, "it reads a format, whoever sends it"},
	"worker/llm/upstream": {[]string{"worker/llm", "worker/llm/sse"}, "what all clients of servers share knows no server's API"},
	"worker/llm/openaichat": {
		[]string{"worker/llm", "worker/llm/sse", "worker/llm/upstream"}, "an upstream knows the model's interface, not its users",
	},
	"worker/llm/anthropic": {
		[]string{"worker/llm", "worker/llm/sse", "worker/llm/upstream"}, "an upstream knows the model's interface, not its users",
	},
	"worker/llm/ollama": {[]string{"worker/llm", "worker/llm/upstream"}, "an upstream knows the model's interface, not its users"},
	"worker/llm/demo":   {[]string{"worker/llm"}, "an upstream knows the model's interface, not its users"},
	"worker/llm/detect": {
		[]string{"worker/llm", "worker/llm/demo", "worker/llm/ollama", "worker/llm/openaichat", "worker/llm/upstream"}, "it chooses among the upstreams for a model that nobody named",
	},
	"worker/llm/llmtest": {[]string{"worker/llm"}, "a fake knows what it stands in for, nothing else"},
	"worker/pdf":         {[]string{"supervisor/sandbox"}, "a document is hostile: what reads it knows where to run, and nothing else"},
	"worker/office":      {nil, "a document is hostile: what reads it knows nothing else"},
	"worker/memory":      {nil, "files of entries stand for themselves, whoever reads them"},
	"worker/skills":      {nil, "files in a public format stand for themselves, whoever reads them"},
	"worker/web":         {[]string{"supervisor/egress/guard"}, "it fetches what others name, and knows nothing that a page could ask it for"},
	"worker/policy":      {nil, "what a command is, follows from its words alone; it reads and runs nothing"},
	"worker/mcp":         {[]string{"supervisor/sandbox"}, "what a server says is not trusted: who speaks to it knows where to run it, and nothing of the agent"},
	"worker/tools":       {[]string{"supervisor/sandbox", "worker/llm", "worker/memory", "worker/office", "worker/policy", "worker/skills", "worker/web"}, "a tool knows neither turns nor requests"},
	"worker/agent": {
		[]string{"worker/llm", "worker/tools"},
		"a turn knows neither HTTP nor SQL; its tests are a script and a list of events",
	},
	"worker/api": {
		[]string{"worker/agent", "worker/llm", "worker/openai", "worker/store", "worker/tools"},
		"HTTP asks the agent; it never asks a model or runs a command by itself",
	},
	"worker": {
		[]string{
			"supervisor/confine", "supervisor/egress/wire", "supervisor/handoff", "supervisor/sandbox", "supervisor/sandbox/wall", "worker/agent", "worker/api", "worker/llm", "worker/llm/anthropic", "worker/llm/demo", "worker/llm/detect",
			"worker/llm/ollama", "worker/llm/openaichat", "worker/llm/upstream", "worker/mcp", "worker/memory", "worker/openai",
			"worker/office", "worker/pdf", "worker/policy", "worker/skills", "worker/store", "worker/tools", "worker/web",
		},
		"the child is told its settings through supervisor/handoff; it sees no files of settings and no second profile",
	},

	"cmd/hermes": {
		[]string{
			"configs", "early", "profiles", "supervisor", "supervisor/egress", "supervisor/handoff", "supervisor/sandbox/wall", "supervisor/sandbox/wall/attack", "worker", "worker/llm/detect", "worker/llm/sse", "worker/openai", "worker/pdf",
			"worker/policy", "worker/store",
		},
		"a command is words around the rooms below; what it talks to a worker, it talks over the API; it asks the policy as a worker does, and reads its log from the database, read-only",
	},
	"scripts/bare":      {nil, "it is what hermes is measured against, and as small as can be"},
	"scripts/benchmark": {[]string{"supervisor/handoff", "worker/llm/llmtest"}, "it measures the binary from outside, and starts a worker as a supervisor does"},
}

// wall is what only some packages may import, or some may not.
type wall struct {
	path string // and everything below it
	only []string
	not  []string
	why  string
}

var walls = []wall{
	{
		path: "github.com/labstack/echo", only: []string{"worker/api", "scripts/benchmark"},
		why: "echo v4 ends in 2026; its successor is one package's change, and one of the relay that it is measured against",
	},
	{path: "github.com/jmoiron/sqlx", only: []string{"worker/store"}, why: "SQL stays in worker/store"},
	{path: "database/sql", only: []string{"worker/store"}, why: "SQL stays in worker/store"},
	{path: "modernc.org/sqlite", only: []string{"worker/store"}, why: "SQL stays in worker/store"},
	{path: "github.com/ledongthuc/pdf", only: []string{"worker/pdf"}, why: "it loops, panics and fills the memory; worker/pdf runs it where that ends"},
	{path: "github.com/modelcontextprotocol", only: []string{"worker/mcp"}, why: "the SDK's types stop where servers are spoken to"},
	{path: "github.com/creack/pty", only: []string{"supervisor/sandbox"}, why: "a terminal is a part of how a command runs"},
	{path: "github.com/spf13/viper", only: []string{"configs"}, why: "viper lower-cases keys and writes secrets; configs knows how to hold it"},
	{path: "github.com/spf13/cobra", only: []string{"cmd/hermes"}, why: "flags stop at the command line"},
	{path: "github.com/spf13/pflag", only: []string{"cmd/hermes"}, why: "flags stop at the command line"},
	{path: "mvdan.cc/sh", only: []string{"worker/policy"}, why: "one place knows what a shell would do"},
	{path: "net/http", not: []string{"worker/agent", "worker/store", "worker/llm/sse", "configs", "profiles"}, why: "this room knows no HTTP"},
	{path: "os/exec", only: []string{"supervisor", "supervisor/sandbox", "supervisor/sandbox/wall", "supervisor/sandbox/wall/attack", "cmd/hermes", "scripts/benchmark"}, why: "commands run in the sandbox, workers under the supervisor"},
	{path: "text/template", only: nil, why: "it calls methods by name, so the linker keeps every method of every type: 4.6 MB, and tables in each process"},
	{path: "html/template", only: nil, why: "it is text/template"},
	{path: "testing", only: nil, why: "tests stay in tests"},
}

func TestRoomsImportOnlyWhatStandsBelow(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range load(t) {
		if s.test {
			continue
		}
		seen[s.dir] = true
		room, known := rooms[s.dir]
		if !known {
			t.Errorf("%s: package %s has no row in the table of imports_test.go, which says what it may import", s.path, s.dir)
			continue
		}
		for imported, node := range s.imports() {
			below, ours := strings.CutPrefix(imported, "hermes/")
			if ours && !slices.Contains(room.may, below) {
				t.Errorf("%s: %s must not import %s: %s (DESIGN.md section 2)", s.at(node), s.dir, imported, room.why)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rooms)) {
		if !seen[name] {
			t.Errorf("the table of imports_test.go has a row for %s, which does not exist", name)
		}
		if rooms[name].why == "" {
			t.Errorf("the row for %s has no reason", name)
		}
	}
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	t.Parallel()
	for _, s := range load(t) {
		if s.test {
			continue
		}
		for imported, node := range s.imports() {
			for _, wall := range walls {
				if imported != wall.path && !strings.HasPrefix(imported, wall.path+"/") {
					continue
				}
				if slices.Contains(wall.not, s.dir) || wall.not == nil && !slices.Contains(wall.only, s.dir) {
					t.Errorf("%s: %s must not import %s: %s", s.at(node), s.dir, imported, wall.why)
				}
			}
		}
	}
}

// A test may stand above its package, but not on the other side of the wall
// between parent and child: there it would need what it is to be protected from.
func TestTestsKeepParentAndChildApart(t *testing.T) {
	t.Parallel()
	for _, s := range load(t) {
		if !s.test {
			continue
		}
		for imported, node := range s.imports() {
			parent := s.dir == "supervisor" || strings.HasPrefix(s.dir, "supervisor/")
			child := s.dir == "worker" || strings.HasPrefix(s.dir, "worker/")
			if parent && strings.HasPrefix(imported+"/", "hermes/worker/") || child && imported == "hermes/supervisor" {
				t.Errorf("%s: a test of %s must not import %s: parent and child meet in supervisor/handoff only", s.at(node), s.dir, imported)
			}
		}
	}
}
