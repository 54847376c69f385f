package egress

import (
	"encoding/json"
	"errors"
	"fmt"

	"hermes/supervisor/egress/wire"
)

// Subcommand is the one argument of the process's command line, ControlFD the socket
// that its supervisor left it.
const (
	Subcommand = "egress"
	ControlFD  = 3
)

// MaxOrder is how long a message may be in bytes. A Table is the only one that comes
// near.
const MaxOrder = 128 << 10

// Do says what an Order asks for.
type Do string

// What the supervisor asks for. Used is what the process tells.
const (
	DoServe  Do = "serve"  // a worker, whose socket comes along
	DoUpdate Do = "update" // the table of one
	DoForget Do = "forget" // one
	DoDrain  Do = "drain"  // receive nothing more, finish, leave
	DoUsed   Do = "used"   // how much a profile has used today
)

// Order is a message on the control socket. It may hold keys and must not be logged.
type Order struct {
	Do      Do     `json:"do"`
	ID      int    `json:"id,omitempty"`
	Profile string `json:"profile,omitempty"`
	Table   *Table `json:"table,omitempty"`
	// Used is what the profile has used.
	Used
}

// String says what it asks for and nothing more.
func (o Order) String() string { return string(o.Do) + " of egress" }

// GoString is String.
func (o Order) GoString() string { return o.String() }

// encode makes a message of an order.
func (o Order) encode() ([]byte, error) {
	data, err := json.Marshal(o)
	if err != nil {
		return nil, errors.New("order to egress cannot be written down")
	}
	if len(data) > MaxOrder {
		return nil, fmt.Errorf("what egress would have to know has %d bytes, and at most %d can be told; have fewer or shorter headers of MCP servers", len(data), MaxOrder)
	}
	return data, nil
}

// Check returns an error if a Table is too long to be told, or says what cannot be.
func (t Table) Check() error {
	if _, err := (Order{Do: DoServe, Table: &t, Profile: "0123456789012345678901234567890123456789012345678901234567890123"}).encode(); err != nil {
		return err
	}
	_, err := (&Server{}).newRules(t)
	return err
}

// decodeOrder reads a message. No error quotes what was read.
func decodeOrder(data []byte) (Order, error) {
	var o Order
	if err := json.Unmarshal(data, &o); err != nil {
		return Order{}, &wire.BadError{Text: "it is not valid JSON"}
	}
	switch o.Do {
	case DoServe, DoUpdate:
		if o.Table == nil || o.ID < 1 {
			return Order{}, &wire.BadError{Text: "it has no table"}
		}
	}
	return o, nil
}
