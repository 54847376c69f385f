package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// foreignSchema checks the arguments of a tool whose schema somebody else wrote.
// It adds nothing and drops nothing: the tool may take more than its schema says,
// and knows its defaults. What cannot be used of a schema (other drafts, patterns
// of JavaScript, references that lead nowhere) is not checked.
type foreignSchema struct {
	whole    *jsonschema.Resolved // nil if it cannot be used
	required []string
	fields   map[string]field // those whose schema stands for itself
}

func parseForeignSchema(parameters json.RawMessage) (s *foreignSchema) {
	s = &foreignSchema{fields: map[string]field{}}
	var root jsonschema.Schema
	var raw map[string]any
	if json.Unmarshal(parameters, &root) != nil || json.Unmarshal(parameters, &raw) != nil {
		return s
	}
	s.required = root.Required
	if endless(raw) {
		return s
	}
	s.whole = resolve(&root)
	properties, _ := raw["properties"].(map[string]any)
	for name, property := range root.Properties {
		if property == nil || refers(properties[name]) {
			continue
		}
		if resolved := resolve(property.CloneSchemas()); resolved != nil {
			s.fields[name] = field{name, slices.Contains(root.Required, name), property, resolved}
		}
	}
	return s
}

// resolve makes a schema ready for use, or returns nil. It is not trusted to be
// anything that the library was made for.
func resolve(schema *jsonschema.Schema) (resolved *jsonschema.Resolved) {
	defer func() {
		if recover() != nil {
			resolved = nil
		}
	}()
	resolved, err := schema.Resolve(nil)
	if err != nil {
		return nil
	}
	return resolved
}

// validate reports what is wrong with a value.
func validate(resolved *jsonschema.Resolved, value any) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the schema cannot be used")
		}
	}()
	return resolved.Validate(value)
}

// prepare reads arguments, converts what is plainly meant otherwise than it was
// written, and checks them.
func (s *foreignSchema) prepare(arguments string) (json.RawMessage, error) {
	sent, err := parseArguments(arguments)
	if err != nil {
		return nil, fmt.Errorf("%w. You sent: %s", err, echo(arguments))
	}
	values := make(map[string]any, len(sent))
	for name, raw := range sent {
		var value any
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fmt.Errorf("the argument %s is no JSON. You sent: %s", shorten(name), echo(arguments))
		}
		f, plain := s.fields[name]
		switch {
		case !plain || validate(f.resolved, value) == nil:
		case value == nil && !f.required: // models fill optional arguments with null
			delete(sent, name)
			continue
		default:
			if converted, err := f.convert(raw); err == nil {
				encoded, err := json.Marshal(converted)
				if err != nil {
					return nil, fmt.Errorf("the argument %s cannot be passed on: %w", name, err)
				}
				value, sent[name] = converted, encoded
			}
		}
		values[name] = value
	}
	for _, name := range s.required {
		if _, ok := values[name]; !ok {
			return nil, fmt.Errorf("the argument %s is missing. You sent: %s", name, echo(arguments))
		}
	}
	if s.whole != nil {
		if err := validate(s.whole, values); err != nil {
			return nil, fmt.Errorf("its arguments do not fit its schema: %w. You sent: %s", err, echo(arguments))
		}
	}
	input, err := json.Marshal(sent)
	if err != nil {
		return nil, fmt.Errorf("its arguments cannot be passed on: %w", err)
	}
	return input, nil
}
