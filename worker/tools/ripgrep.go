package tools

import (
	"bytes"
	"context"
	"io/fs"
	"path/filepath"
	"regexp/syntax"
	"strconv"
	"strings"

	"hermes/supervisor/sandbox"
)

// byRipgrep searches with rg. It only names the files in which there is a match;
// the lines are read by this process, so that nothing is shown that os.Root would
// not open, and so that the result is the same as without rg. Done is false when
// rg cannot do this search, and nothing was visited then.
func (s *search) byRipgrep(ctx context.Context, walker *walker, visit func(string, fs.FileMode) error) (done bool, err error) {
	pattern, ok := rustExpression(s.expression.String())
	if s.tool.ripgrep == "" || !ok {
		return false, nil
	}
	dir, err := s.tool.workspace.root.Open(s.start)
	if err != nil {
		return false, nil
	}
	defer dir.Close()
	names := &candidates{visit: func(name string) error {
		path := filepath.Join(s.start, name)
		if walker.ignoredFrom(s.start, path, false) {
			return nil
		}
		return visit(path, 0)
	}}
	out, err := s.tool.sandbox.Run(ctx, sandbox.Command{
		Argv: []string{
			s.tool.ripgrep, "--no-config", "--no-messages", "--color=never", "--files-with-matches", "--null", "--sort=path",
			"--text", "--encoding=none", "--crlf", "--hidden", "--glob=!.git",
			"--no-require-git", "--no-ignore-dot", "--no-ignore-exclude", "--no-ignore-global", "--no-ignore-parent",
			"--regexp=" + pattern, "--", ".",
		},
		// The directory that was opened, whatever its name leads to by now.
		Dir: "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())), Env: s.tool.env, CallID: callID(ctx), Stdout: names,
	})
	switch {
	case err != nil:
		return names.visited, nil
	case names.err != nil:
		return true, names.err
	case ctx.Err() != nil:
		return true, ctx.Err()
	case out.ExitCode > 1:
		return names.visited, nil
	default:
		return true, nil
	}
}

// candidates takes the names that rg prints, each with a NUL at its end.
type candidates struct {
	visit   func(name string) error
	rest    []byte
	visited bool
	err     error
}

func (c *candidates) Write(p []byte) (int, error) {
	c.rest = append(c.rest, p...)
	for {
		name, rest, found := bytes.Cut(c.rest, []byte{0})
		if !found {
			return len(p), nil
		}
		c.visited = true
		if c.err = c.visit(strings.TrimPrefix(string(name), "./")); c.err != nil {
			return 0, c.err
		}
		c.rest = rest
	}
}

// rustExpression spells a Go regular expression so that rg understands the same:
// what Go means in ASCII only (\w, \d, \b) is Unicode there, and lines are looked
// at in one piece. It returns false for what has no counterpart.
func rustExpression(pattern string) (string, bool) {
	parsed, err := syntax.Parse(pattern, syntax.Perl&^syntax.OneLine)
	if err != nil {
		return "", false
	}
	var out strings.Builder
	canonical := parsed.String()
	class := false // inside of brackets
	for i := 0; i < len(canonical); i++ {
		if canonical[i] != '\\' || i+1 == len(canonical) {
			class = canonical[i] == '[' || class && canonical[i] != ']'
			out.WriteByte(canonical[i])
			continue
		}
		i++
		switch c := canonical[i]; c {
		case 'A', 'z', 'C':
			return "", false
		case 'n':
			if !class {
				return "", false
			}
			out.WriteString(`\n`)
		case 'b', 'B':
			out.WriteString(`(?-u:\` + string(c) + ")")
		default:
			out.WriteString(`\` + string(c))
		}
	}
	return out.String(), true
}
