// Package wire is the way from a worker to the egress process: what is said over
// it, the side that asks, and the side that is asked.
//
// A worker has one end of a socket of type SOCK_SEQPACKET. For each connection that
// it wants, it makes a pair of stream sockets and sends one of them there: a message
// of one byte, the Kind, with one descriptor. Over the pair it speaks HTTP/1.1,
// egress being the server. The other end of the SEQPACKET pair belongs to the
// supervisor, which gives a copy to each generation of the egress process; what
// waits in the socket is served by the next one when there is none.
package wire

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"hermes/supervisor/egress/guard"
)

// Kind says what a connection is for.
type Kind byte

const (
	// API is for requests to upstreams that the supervisor has named: the header
	// Upstream says which one, and the address only the path.
	API Kind = 'a'
	// Page is for CONNECT to a host of the web.
	Page Kind = 'p'
	// Tool is a connection that a command has made to its proxy.
	Tool Kind = 't'
)

// Known reports whether it is one of the kinds.
func (k Kind) Known() bool { return k == API || k == Page || k == Tool }

// String is how logs name it.
func (k Kind) String() string {
	switch k {
	case API:
		return "api"
	case Page:
		return "page"
	case Tool:
		return "tool"
	default:
		return fmt.Sprintf("kind %d", byte(k))
	}
}

// The headers between both sides. None of them comes from a server or goes to one.
const (
	// Upstream names the upstream that a request is for.
	Upstream = "Hermes-Upstream"
	// Verdict is set on answers that egress gives by itself; the body says more in
	// words.
	Verdict = "Hermes-Egress"
)

// Code is the value of Verdict: why there is no answer of a server.
type Code string

// The codes.
const (
	Refused     Code = "refused"     // the server takes no connection
	Reset       Code = "reset"       // the server broke the connection
	Unreachable Code = "unreachable" // there is no way to it
	NoHost      Code = "no-host"     // the name does not exist
	NoLookup    Code = "no-lookup"   // the name could not be looked up
	Timeout     Code = "timeout"
	Closed      Code = "closed"
	Stale       Code = "stale"     // a kept connection was closed before an answer began: ask again
	Plain       Code = "plain"     // it speaks no TLS
	Untrusted   Code = "untrusted" // its certificate is not valid
	Private     Code = "private"   // the address may not be dialled
	Port        Code = "port"      // nor may the port
	Forbidden   Code = "forbidden" // this is not among what may be asked
	Budget      Code = "budget"    // the profile has used up what it may
	Failed      Code = "failed"    // anything else
)

// TokensSpent is the code of a refusal of egress that reads like one of a provider: the
// profile has used up its tokens of the day.
const TokensSpent = "tokens_per_day" //nolint:gosec // no secret

// What some codes come to on the side that asks. Others are errors of the network,
// as if the worker had dialled by itself.
var (
	ErrForbidden = errors.New("egress does not allow this request")
	ErrBudget    = errors.New("the profile has used up what it may send and receive")
	ErrUntrusted = errors.New("the certificate of the server is not valid")
	ErrClosed    = errors.New("the connection was closed")
)

// RefusalError is an answer of egress itself.
type RefusalError struct {
	Code Code
	// Text says in words what was wrong.
	Text string
	host string
}

func (e *RefusalError) Error() string {
	if e.Text != "" {
		return e.Text
	}
	return string(e.Code)
}

// Unwrap is the error that the worker would have had if it had dialled by itself.
func (e *RefusalError) Unwrap() error {
	switch e.Code {
	case Refused:
		return syscall.ECONNREFUSED
	case Reset:
		return syscall.ECONNRESET
	case Unreachable:
		return syscall.EHOSTUNREACH
	case NoHost:
		return &net.DNSError{Err: "no such host", Name: e.host, IsNotFound: true}
	case NoLookup:
		return &net.DNSError{Err: "the look-up failed", Name: e.host}
	case Timeout:
		return syscall.ETIMEDOUT
	case Private:
		return guard.ErrPrivate
	case Port:
		return guard.ErrPort
	case Forbidden:
		return ErrForbidden
	case Budget:
		return ErrBudget
	case Untrusted:
		return ErrUntrusted
	case Closed, Stale:
		return ErrClosed
	default:
		return nil
	}
}

// BadError is the error of a message that nobody of ours sends. What came with it has
// been closed.
type BadError struct{ Text string }

func (e *BadError) Error() string { return "bad message: " + e.Text }
