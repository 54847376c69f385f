package policy

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

func (w *walker) cmd(stmt *syntax.Stmt, in output) output {
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		return w.callExpr(cmd, in, stmt.Background)
	case *syntax.BinaryCmd:
		if cmd.Op == syntax.Pipe || cmd.Op == syntax.PipeAll {
			return w.pipe(cmd, in)
		}
		x := w.stmt(cmd.X, in)
		dirs := w.dirs
		y := w.stmt(cmd.Y, in)
		w.dirs = union(dirs, w.dirs)
		return output{text: x.text + y.text, known: x.known && y.known, traits: x.traits | y.traits, paths: append(x.paths, y.paths...)}
	case *syntax.Subshell:
		return w.inScope(func() output { return w.list(cmd.Stmts, in) })
	case *syntax.Block:
		return w.list(cmd.Stmts, in)
	case *syntax.IfClause:
		return w.ifClause(cmd, in)
	case *syntax.WhileClause:
		return w.loop(func() output {
			w.list(cmd.Cond, in)
			return w.list(cmd.Do, in)
		})
	case *syntax.ForClause:
		w.inside(cmd.Loop)
		return w.loop(func() output { return w.list(cmd.Do, in) })
	case *syntax.CaseClause:
		return w.caseClause(cmd, in)
	case *syntax.FuncDecl:
		w.bomb(cmd)
	case *syntax.DeclClause:
		for _, assign := range cmd.Args {
			w.assignment(assign)
		}
	case *syntax.TimeClause:
		if cmd.Stmt != nil {
			return w.stmt(cmd.Stmt, in)
		}
	case *syntax.CoprocClause:
		return w.stmt(cmd.Stmt, in)
	case *syntax.TestDecl:
		return w.stmt(cmd.Body, in)
	case nil:
	default: // conditions and arithmetic, which may hold commands
		w.inside(cmd)
	}
	return output{}
}

func (w *walker) ifClause(cmd *syntax.IfClause, in output) output {
	var all output
	for clause := cmd; clause != nil; clause = clause.Else {
		w.step()
		w.list(clause.Cond, in)
		dirs := w.dirs
		out := w.list(clause.Then, in)
		w.dirs = union(dirs, w.dirs)
		all.traits |= out.traits
		all.paths = append(all.paths, out.paths...)
	}
	return all
}

func (w *walker) caseClause(cmd *syntax.CaseClause, in output) output {
	var all output
	w.value(cmd.Word)
	for _, item := range cmd.Items {
		dirs := w.dirs
		all.traits |= w.list(item.Stmts, in).traits
		w.dirs = union(dirs, w.dirs)
	}
	return all
}

// loop judges a body a second time if it does not end where it began: nobody
// knows then where it is after some rounds.
func (w *walker) loop(body func() output) output {
	dirs := w.dirs
	out := body()
	if !slices.Equal(dirs, w.dirs) {
		w.dirs = append(union(dirs, w.dirs), hole)
		out = body()
		w.dirs = append(union(dirs, w.dirs), hole)
	}
	out.known = false
	return out
}

// pipe judges both sides, each in a shell of its own.
func (w *walker) pipe(cmd *syntax.BinaryCmd, in output) output {
	x := w.inScope(func() output { return w.stmt(cmd.X, in) })
	y := w.inScope(func() output { return w.stmt(cmd.Y, x) })
	// What came from somewhere stays that, whatever is done to it.
	y.traits |= x.traits
	return y
}

func (w *walker) assignment(assign *syntax.Assign) {
	w.value(assign.Value)
	if assign.Array != nil {
		for _, elem := range assign.Array.Elems {
			w.value(elem.Value)
		}
	}
	if assign.Index != nil {
		w.inside(assign.Index)
	}
}

// inside judges the commands within something that is no command itself.
func (w *walker) inside(node syntax.Node) {
	if node == nil {
		return
	}
	syntax.Walk(node, func(node syntax.Node) bool {
		w.step()
		switch node := node.(type) {
		case *syntax.CmdSubst:
			w.inScope(func() output { return w.list(node.Stmts, output{}) })
			return false
		case *syntax.ProcSubst:
			w.inScope(func() output { return w.list(node.Stmts, output{}) })
			return false
		}
		return true
	})
}
