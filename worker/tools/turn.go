package tools

import "context"

// Turn names the turn that a call is part of.
type Turn struct {
	SessionID string
	RunID     string
}

// turnKey is the key of the turn in a context.
type turnKey struct{}

// WithTurn makes the context of a turn, in which all of its calls run.
func WithTurn(ctx context.Context, turn Turn) context.Context {
	return context.WithValue(ctx, turnKey{}, turn)
}

// TurnOf returns the turn that ctx belongs to, the zero Turn if there is none.
func TurnOf(ctx context.Context) Turn {
	turn, _ := ctx.Value(turnKey{}).(Turn)
	return turn
}
