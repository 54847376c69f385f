package handoff

import "os"

// Waits listens for another parent in place of a child that cannot reach the
// place where that looks for it.
type Waits interface {
	Listen() (*os.File, error)
	Deaf() // removes the socket again
}

// Mounts hands over what came as Belongings.Tree and Run; nil if nothing did.
func (c *Child) Mounts() (tree, run *os.File) {
	tree, run, c.tree, c.run = c.tree, c.run, nil, nil
	return tree, run
}

// WaitBy sets how the child listens for another parent. It must be called before
// Run.
func (c *Child) WaitBy(w Waits) { c.waits = w }
