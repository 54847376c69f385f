package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"hermes/supervisor/sandbox"
	"hermes/worker/llm"
)

// The limits of a search.
const (
	maxResults      = 500
	maxContextLines = 20
	searchTimeout   = 30 * time.Second
)

// errEnough ends a search that has found all that was asked for.
var errEnough = errors.New("enough found")

// searchFiles is the tool that finds files and lines.
type searchFiles struct {
	spec      llm.ToolSpec
	workspace *workspace
	sandbox   *sandbox.Sandbox
	// ripgrep is the absolute path of rg, "" if there is none. It only makes
	// large searches faster; what is found is the same without it.
	ripgrep string
	env     []string
}

func newSearchFiles(opts Options, w *workspace) *searchFiles {
	env := Environment(opts.Environ, w.dir("."))
	return &searchFiles{
		spec:      mustSpec("search_files"),
		workspace: w,
		sandbox:   opts.Sandbox,
		ripgrep:   program("rg", strings.TrimPrefix(env[0], "PATH=")),
		env:       env,
	}
}

func (t *searchFiles) Spec() llm.ToolSpec { return t.spec }

func (t *searchFiles) Emoji() string { return "🔎" }

func (t *searchFiles) Concurrent() bool { return true }

// searchArguments are the arguments of search_files.
type searchArguments struct {
	Pattern    string `json:"pattern"`
	Target     string `json:"target"`
	Path       string `json:"path"`
	FileGlob   string `json:"file_glob"`
	OutputMode string `json:"output_mode"`
	Context    int    `json:"context"`
	Limit      int    `json:"limit"`
	Offset     int    `json:"offset"`
}

func (t *searchFiles) Label(input json.RawMessage) string {
	arguments, err := decode[searchArguments](input)
	if err != nil {
		return ""
	}
	return arguments.Pattern
}

func (t *searchFiles) Run(ctx context.Context, input json.RawMessage) (Result, error) {
	arguments, err := decode[searchArguments](input)
	if err != nil {
		return Result{}, err
	}
	search, problem := t.prepare(arguments)
	if problem != "" {
		return Failure(problem), nil
	}
	limited, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	err = search.run(limited)
	switch {
	case ctx.Err() != nil:
		return Result{}, context.Cause(ctx)
	case limited.Err() != nil:
		search.found.note = fmt.Sprintf("stopped after %s; what follows was not searched: narrow it down with path or file_glob", searchTimeout)
	case err != nil && !errors.Is(err, errEnough):
		return Failure(t.workspace.explain(search.start, err)), nil
	}
	return Result{Text: search.found.text()}, nil
}

// prepare checks the arguments.
func (t *searchFiles) prepare(arguments searchArguments) (s *search, problem string) {
	start, problem := t.workspace.rel(arguments.Path)
	if problem != "" {
		return nil, problem
	}
	info, err := t.workspace.root.Stat(start)
	if err != nil {
		return nil, t.workspace.explain(start, err)
	}
	if !info.IsDir() {
		if problem := refuse(start, info.Mode()); problem != "" {
			return nil, problem
		}
	}
	s = &search{tool: t, start: start, single: !info.IsDir(), found: newFindings(arguments)}
	if arguments.Target == "files" {
		s.names, problem = nameFilter(start, arguments.Pattern)
		return s, problem
	}
	if s.expression, problem = expression(arguments.Pattern); problem != "" {
		return nil, problem
	}
	if arguments.FileGlob != "" {
		s.names, problem = nameFilter(start, arguments.FileGlob)
	}
	return s, problem
}

// expression compiles the pattern of a content search.
func expression(pattern string) (e *regexp.Regexp, problem string) {
	if pattern == "" {
		return nil, "The pattern is empty."
	}
	e, err := regexp.Compile(pattern)
	if err == nil {
		return e, ""
	}
	reason := err.Error()
	if fault, ok := errors.AsType[*syntax.Error](err); ok {
		reason = fault.Code.String()
		if fault.Expr != "" {
			reason += ": " + fault.Expr
		}
		if fault.Code == syntax.ErrInvalidPerlOp || fault.Code == syntax.ErrInvalidNamedCapture {
			reason += " (look-around and back references do not exist in RE2)"
		}
	}
	return nil, fmt.Sprintf("The pattern is no valid regular expression: %s. To search for the text as it is, write %s", reason, regexp.QuoteMeta(pattern))
}

// nameFilter makes a test of paths out of a glob: one without a slash looks at
// the name, one with a slash at the path from the start of the search or from
// the workspace, a plain word at a part of the name.
func nameFilter(start, glob string) (filter func(string) bool, problem string) {
	glob = strings.TrimPrefix(filepath.ToSlash(strings.TrimSpace(glob)), "./")
	switch {
	case glob == "":
		return nil, "The pattern is empty; * finds all files."
	case !doublestar.ValidatePattern(glob):
		return nil, fmt.Sprintf("%s is no valid glob. * stands for a part of a name, ** for directories, {a,b} for either, [ab] for one character.", glob)
	case !strings.ContainsAny(glob, `*?[{\/`):
		return func(p string) bool { return strings.Contains(path.Base(p), glob) }, ""
	case !strings.Contains(glob, "/"):
		return func(p string) bool { return doublestar.MatchUnvalidated(glob, path.Base(p)) }, ""
	}
	if strings.HasSuffix(glob, "/") {
		glob += "**"
	}
	glob = strings.TrimPrefix(glob, "/")
	prefix := filepath.ToSlash(start) + "/"
	return func(p string) bool {
		below, ok := strings.CutPrefix(p, prefix)
		return doublestar.MatchUnvalidated(glob, p) || ok && doublestar.MatchUnvalidated(glob, below)
	}, ""
}

// search is one search on its way.
type search struct {
	tool       *searchFiles
	start      string
	single     bool              // start is a file
	names      func(string) bool // nil takes all
	expression *regexp.Regexp    // nil looks at names only
	found      *findings
}

// run searches until all is found or errEnough.
func (s *search) run(ctx context.Context) error {
	if s.single {
		return s.visit(ctx, s.start, 0)
	}
	walker := newWalker(s.tool.workspace, s.start)
	visit := func(path string, kind fs.FileMode) error { return s.visit(ctx, path, kind) }
	if s.expression != nil {
		if done, err := s.byRipgrep(ctx, walker, visit); done {
			return err
		}
	}
	return walker.walk(ctx, visit)
}

// visit looks at one file.
func (s *search) visit(ctx context.Context, path string, kind fs.FileMode) error {
	if s.names != nil && !s.names(filepath.ToSlash(path)) {
		return nil
	}
	if s.expression == nil {
		return s.found.file(path, 0)
	}
	if !kind.IsRegular() {
		return nil
	}
	return s.lines(ctx, path)
}
