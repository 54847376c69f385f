package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"

	"hermes/worker/llm"
)

// schema checks the arguments of one tool.
type schema struct {
	whole *jsonschema.Resolved
	// fields are the properties, in the order of their names.
	fields []field
}

// lateSchema is the schema of a tool of this package, read when the tool is called
// first: most workers never call most tools, and all schemas together take 0.9 MB to
// read. A test reads them all.
type lateSchema func() *schema

func newLateSchema(spec llm.ToolSpec) lateSchema {
	return sync.OnceValue(func() *schema {
		s, err := parseSchema(spec.Parameters)
		if err != nil {
			panic(fmt.Sprintf("%s.md: schema: %v", spec.Name, err))
		}
		return s
	})
}

func (s lateSchema) prepare(arguments string) (json.RawMessage, error) {
	return s().prepare(arguments)
}

// field is one property of the arguments.
type field struct {
	name     string
	required bool
	schema   *jsonschema.Schema
	resolved *jsonschema.Resolved
}

// parseSchema reads the schema of an object.
func parseSchema(parameters json.RawMessage) (*schema, error) {
	var root jsonschema.Schema
	if err := json.Unmarshal(parameters, &root); err != nil {
		return nil, err
	}
	whole, err := root.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		return nil, err
	}
	s := &schema{whole: whole}
	for _, name := range slices.Sorted(maps.Keys(root.Properties)) {
		property := root.Properties[name]
		resolved, err := property.CloneSchemas().Resolve(nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.fields = append(s.fields, field{name, slices.Contains(root.Required, name), property, resolved})
	}
	return s, nil
}

// prepare reads arguments, converts what can be converted, fills in defaults and
// checks the result. Its error is a clause for the model that says what to mend.
func (s *schema) prepare(arguments string) (json.RawMessage, error) {
	sent, err := parseArguments(arguments)
	if err != nil {
		return nil, fmt.Errorf("%w. You sent: %s", err, echo(arguments))
	}
	values := make(map[string]any, len(s.fields))
	for _, f := range s.fields {
		raw := sent[f.name]
		if len(raw) == 0 || string(raw) == "null" {
			if f.required {
				return nil, fmt.Errorf("the argument %s is missing; it must be %s. You sent: %s", f.name, f.expected(), echo(arguments))
			}
			continue
		}
		value, err := f.convert(raw)
		if err != nil && f.schema.Type == "array" { // what is wrong may be deep inside
			return nil, fmt.Errorf("the argument %s must be %s: %w. You sent: %s", f.name, f.expected(), err, echo(arguments))
		}
		if err != nil {
			return nil, fmt.Errorf("the argument %s must be %s. You sent: %s", f.name, f.expected(), echo(arguments))
		}
		values[f.name] = value
	}
	if err := s.whole.ApplyDefaults(&values); err != nil {
		return nil, fmt.Errorf("its arguments take no defaults: %w", err)
	}
	if err := s.whole.Validate(values); err != nil {
		return nil, fmt.Errorf("its arguments do not fit together: %w. You sent: %s", err, echo(arguments))
	}
	input, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("its arguments cannot be passed on: %w", err)
	}
	return input, nil
}

// expected says what the field takes.
func (f *field) expected() string {
	if len(f.schema.Enum) > 0 {
		var names []string
		for _, value := range f.schema.Enum {
			names = append(names, fmt.Sprint(value))
		}
		return "one of " + strings.Join(names, ", ")
	}
	switch f.schema.Type {
	case "integer":
		return "an integer"
	case "boolean":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "an object"
	default:
		return "a " + f.schema.Type
	}
}

// convert makes a value of the field's type out of what was sent.
func (f *field) convert(raw json.RawMessage) (any, error) {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return nil, err
	}
	text, isText := value.(string)
	switch f.schema.Type {
	case "string":
		if !isText {
			// A model that writes a JSON file gives an object, one that writes a
			// number gives a number; its spelling is the text.
			value = string(raw)
		} else if len(f.schema.Enum) > 0 {
			value = strings.ToLower(strings.TrimSpace(text))
		}
	case "integer", "number":
		if isText {
			number, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				return nil, err
			}
			value = number
		}
	case "array":
		// Models write a list of one as the one, and sometimes a list as its text.
		var list []any
		if isText && json.Unmarshal([]byte(text), &list) == nil {
			value = list
		} else if isText {
			value = []any{text}
		}
		if list, ok := value.([]any); ok {
			spellOut(list, f.schema.Items)
		}
	case "object": // some models write it as text
		var object map[string]any
		if isText && json.Unmarshal([]byte(text), &object) == nil && object != nil {
			value = object
		}
	case "boolean":
		switch strings.ToLower(strings.Trim(string(raw), "\" ")) {
		case "true", "yes", "1":
			value = true
		case "false", "no", "0", "":
			value = false
		}
	}
	return value, f.resolved.Validate(value)
}

// spellOut makes strings of the numbers in a list of objects where strings are
// wanted, since models count what they give ids to, and drops what is null.
func spellOut(list []any, items *jsonschema.Schema) {
	for _, item := range list {
		object, ok := item.(map[string]any)
		if !ok || items == nil {
			continue
		}
		for name, value := range object {
			property := items.Properties[name]
			if value == nil {
				delete(object, name)
			} else if number, ok := value.(float64); ok && property != nil && property.Type == "string" {
				object[name] = strconv.FormatFloat(number, 'f', -1, 64)
			}
		}
	}
}
