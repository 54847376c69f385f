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
			"--text", "--crlf", "--hidden", "--glob=!.git",
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

// anyByte is a byte that is no character for rg, where it is one for Go.
const anyByte = `|(?-u:[\x80-\xff]))`

// rustExpression spells a Go regular expression so that rg finds at least what Go
// finds: what Go means in ASCII only (\w, \d, \b) is Unicode there, and what is no
// UTF-8 matches nothing. It returns false for what has no counterpart, as rg looks
// at many lines at once.
func rustExpression(pattern string) (string, bool) {
	parsed, err := syntax.Parse(pattern, syntax.Perl&^syntax.OneLine)
	if err != nil {
		return "", false
	}
	var out strings.Builder
	canonical := parsed.String()
	class := "" // what ends the brackets that are open
	for i := 0; i < len(canonical); i++ {
		switch c := canonical[i]; {
		case c == '\\' && i+1 < len(canonical):
			i++
			escaped, ok := rustEscape(canonical[i], class != "")
			if !ok {
				return "", false
			}
			out.WriteString(escaped)
		case class != "" && c == ']':
			out.WriteString(class)
			class = ""
		case class == "" && c == '[' && strings.HasPrefix(canonical[i:], "[^"):
			out.WriteString("(?:[")
			class = "]" + anyByte
		case class == "" && c == '[':
			out.WriteByte(c)
			class = "]"
		case class == "" && c == '.':
			out.WriteString("(?:." + anyByte)
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), true
}

// rustEscape spells what stands behind a backslash, in brackets or not.
func rustEscape(c byte, class bool) (escaped string, ok bool) {
	switch {
	case c == 'A', c == 'z', c == 'C', c == 'n' && !class:
		return "", false
	case c == 'b', c == 'B':
		return `(?-u:\` + string(c) + ")", true
	default:
		return `\` + string(c), true
	}
}
