package openai

import "encoding/json"

// ErrorBody is the body of every answer that is no success.
type ErrorBody struct {
	Error Error `json:"error"`
}

// Error says what went wrong. All four keys are always sent. Param names the
// field of the request that is at fault; Param and Code are null when they are
// empty, unless NoNull asks for empty strings.
type Error struct {
	Message string
	Type    string
	Param   string
	Code    string
	NoNull  bool
}

// The types of errors.
const (
	TypeInvalidRequest = "invalid_request_error"
	TypePermission     = "permission_error"
	TypeRateLimit      = "rate_limit_error"
	TypeQuota          = "insufficient_quota"
	TypeServer         = "server_error"
	TypeUpstream       = "upstream_error"
)

type wireError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// MarshalJSON writes all four keys.
func (e Error) MarshalJSON() ([]byte, error) {
	wire := wireError{Message: e.Message, Type: e.Type}
	if e.Param != "" || e.NoNull {
		wire.Param = &e.Param
	}
	if e.Code != "" || e.NoNull {
		wire.Code = &e.Code
	}
	return json.Marshal(wire)
}

// UnmarshalJSON reads what servers send as an error: an object, of which any
// field may be missing or a number, or a bare string. It fails on nothing that
// is JSON.
func (e *Error) UnmarshalJSON(data []byte) error {
	*e = Error{}
	if first(data) != '{' {
		e.Message = scalar(data)
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	e.Message = scalar(fields["message"])
	e.Type = scalar(fields["type"])
	e.Param = scalar(fields["param"])
	e.Code = scalar(fields["code"])
	return nil
}

// scalar returns a JSON string's text and any other value as it is written.
// Null is empty.
func scalar(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return text
	}
	return string(data)
}
