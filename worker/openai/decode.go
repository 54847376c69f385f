package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxDepth is how deep the arrays and objects of a request may nest. Real
// requests, JSON schemas of tools included, stay below 20; the decoder's own
// limit of 10,000 is no protection for what comes after it.
const MaxDepth = 64

// FieldError says what is wrong with a request. Param names the field, such as
// messages[2].content[0].type; it is empty when the body as a whole is wrong.
type FieldError struct {
	Param   string
	Message string // what is wrong, to be read after Param
}

func (e *FieldError) Error() string {
	if e.Param == "" {
		return e.Message
	}
	return e.Param + " " + e.Message
}

// DecodeChatRequest reads the body of a chat completions request. Unknown
// fields are ignored. Anything else that is wrong is a *FieldError: no JSON, no
// object, a known field of the wrong type, a known field given twice or in
// another case (which encoding/json would take for the same), nesting beyond
// MaxDepth, text that is not UTF-8.
func DecodeChatRequest(body []byte) (*ChatRequest, error) {
	request := &ChatRequest{}
	if err := decode(body, request); err != nil {
		return nil, err
	}
	return request, nil
}

// decode reads body into the struct that into points to. It decodes straight
// into the struct; only when that fails does it look for the field.
func decode(body []byte, into any) error {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	body = bytes.Trim(body, " \t\r\n")
	if len(body) == 0 {
		return &FieldError{Message: "the body is empty; send a JSON object"}
	}
	if !utf8.Valid(body) {
		return &FieldError{Message: "the body is not valid UTF-8"}
	}
	kind := reflect.TypeOf(into).Elem()
	if err := inspect(body, fieldNames(kind)); err != nil {
		return err
	}
	err := json.Unmarshal(body, into)
	if err == nil {
		if first(body) != '{' { // null
			return &FieldError{Message: "the body must be a JSON object, not " + describe(body)}
		}
		return nil
	}
	if !json.Valid(body) {
		return invalidJSON(body, err)
	}
	if first(body) != '{' {
		return &FieldError{Message: "the body must be a JSON object, not " + describe(body)}
	}
	if at := locate(body, kind, ""); at != nil {
		return at
	}
	return &FieldError{Message: "the body does not fit: " + err.Error()}
}

// invalidJSON says where a body stops being JSON.
func invalidJSON(body []byte, err error) *FieldError {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && syntax.Offset < int64(len(body)) {
		return &FieldError{Message: fmt.Sprintf("the body is not valid JSON: %v at byte %d", syntax, syntax.Offset)}
	}
	return &FieldError{Message: "the body is not valid JSON: " + err.Error()}
}

// fieldNames returns the names that a struct's fields have in JSON.
func fieldNames(kind reflect.Type) []string {
	names := make([]string, 0, kind.NumField())
	for field := range kind.Fields() {
		names = append(names, fieldName(field))
	}
	return names
}

func fieldName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// messageDepth is how deep a message lies: in an array in the outermost object.
const messageDepth = 3

// inspect looks at what json.Unmarshal lets through: deep nesting, known names of the
// outermost object that come twice or in another case, and the same of the role of a
// message: a proxy in front may take the first one for true. It goes over the body
// once and leaves judging its syntax to the decoder.
func inspect(body []byte, known []string) error {
	n := names{known: known, seen: make([]bool, len(known))}
	var object uint64 // a bit for each depth: it is an object there
	depth := 0
	nameNext := false // the next string is a name
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{', '[':
			depth++
			if depth > MaxDepth {
				return &FieldError{Message: "the body nests deeper than " + strconv.Itoa(MaxDepth) + " levels"}
			}
			if nameNext = body[i] == '{'; nameNext {
				object |= 1 << (depth - 1)
			} else {
				object &^= 1 << (depth - 1)
			}
			if depth == messageDepth {
				n.role[0] = false
			}
		case '}', ']':
			depth = max(depth-1, 0)
			nameNext = false
		case ',':
			nameNext = depth > 0 && depth <= messageDepth && object>>(depth-1)&1 != 0
		case '"':
			end := stringEnd(body, i)
			if nameNext {
				if err := n.met(body[i:end], depth); err != nil {
					return err
				}
			}
			nameNext = false
			i = end - 1
		}
	}
	return nil
}

// names are those that inspect has met.
type names struct {
	known  []string
	seen   []bool
	saying bool    // the last of the outermost object is one under which messages stand
	role   [1]bool // of the message
}

// met notes a name.
func (n *names) met(literal []byte, depth int) error {
	switch {
	case depth == 1:
		name := scalar(literal)
		n.saying = name == "messages" || name == "input"
		return once(literal, n.known, n.seen)
	case depth != messageDepth || !n.saying:
		return nil
	case string(literal) == `"role"` && !n.role[0]: // as nearly always
		n.role[0] = true
		return nil
	case len(literal) == len(`"role"`) || bytes.IndexByte(literal, '\\') >= 0:
		return once(literal, []string{"role"}, n.role[:])
	default:
		return nil
	}
}

// once notes that a name of the outermost object was met.
func once(literal []byte, known []string, seen []bool) error {
	name := scalar(literal) // a literal that is broken is for the decoder to refuse
	for i, want := range known {
		switch {
		case name == want && seen[i]:
			return &FieldError{Param: want, Message: "is given twice"}
		case name == want:
			seen[i] = true
		case strings.EqualFold(name, want):
			return &FieldError{Param: name, Message: "is not a known field; write " + want}
		}
	}
	return nil
}

// stringEnd returns the index behind the string that begins at start.
func stringEnd(body []byte, start int) int {
	for i := start + 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(body)
}

// locate finds the innermost value that does not fit into its type, or nil.
func locate(data []byte, kind reflect.Type, path string) *FieldError {
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	err := json.Unmarshal(data, reflect.New(kind).Interface())
	if err == nil {
		return nil
	}
	switch shape := shapeOf(kind, first(data)); shape.Kind() {
	case reflect.Struct:
		if at := locateInObject(data, shape, path); at != nil {
			return at
		}
	case reflect.Slice:
		if at := locateInArray(data, shape.Elem(), path); at != nil {
			return at
		}
	default:
	}
	if path == "" {
		return nil
	}
	return &FieldError{Param: path, Message: wanted(kind) + ", not " + describe(data)}
}

// shapeOf returns the type whose elements or fields a value of a union has.
func shapeOf(kind reflect.Type, first byte) reflect.Type {
	switch kind {
	case reflect.TypeFor[Content]():
		if first == '[' {
			return reflect.TypeFor[[]Part]()
		}
		return reflect.TypeFor[string]()
	case reflect.TypeFor[ImageURL]():
		if first != '{' {
			return reflect.TypeFor[string]()
		}
	case reflect.TypeFor[Stop]():
		if first != '[' {
			return reflect.TypeFor[string]()
		}
	case reflect.TypeFor[ToolChoice]():
		return reflect.TypeFor[string]()
	}
	return kind
}

func locateInObject(data []byte, kind reflect.Type, path string) *FieldError {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(data, &fields) // fails when it is no object; then there are no fields
	for field := range kind.Fields() {
		name := fieldName(field)
		for key, value := range fields {
			// The decoder takes names in any case.
			if !strings.EqualFold(key, name) {
				continue
			}
			if at := locate(value, field.Type, strings.TrimPrefix(path+"."+name, ".")); at != nil {
				return at
			}
		}
	}
	return nil
}

func locateInArray(data []byte, kind reflect.Type, path string) *FieldError {
	var elements []json.RawMessage
	_ = json.Unmarshal(data, &elements) // fails when it is no array; then there are no elements
	for i, element := range elements {
		if at := locate(element, kind, path+"["+strconv.Itoa(i)+"]"); at != nil {
			return at
		}
	}
	return nil
}

// wanted says what a value of the type looks like in JSON.
func wanted(kind reflect.Type) string {
	switch kind {
	case reflect.TypeFor[Content]():
		return "must be a string or an array of parts"
	case reflect.TypeFor[ImageURL]():
		return "must be an object with a url, or a string"
	case reflect.TypeFor[Stop]():
		return "must be a string or an array of strings"
	case reflect.TypeFor[ToolChoice]():
		return "must be a string or an object"
	}
	switch kind.Kind() {
	case reflect.String:
		return "must be a string"
	case reflect.Bool:
		return "must be true or false"
	case reflect.Int:
		return "must be a whole number"
	case reflect.Float64:
		return "must be a number"
	case reflect.Slice:
		return "must be an array"
	default:
		return "must be an object"
	}
}

// describe says what a JSON value is.
func describe(data []byte) string {
	switch first(data) {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return string(data)
	case 'n':
		return "null"
	default:
		if len(data) > 20 {
			return "such a number"
		}
		return string(data)
	}
}
