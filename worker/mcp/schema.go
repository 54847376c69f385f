package mcp

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// takeSchema makes the schema of a tool's arguments fit for model APIs, or says
// what is wrong with it. These want an object with properties, and several refuse
// a whole request for a schema that is made of alternatives at its root.
func takeSchema(schema any) (json.RawMessage, string) {
	if schema == nil {
		schema = map[string]any{}
	}
	encoded, err := json.Marshal(schema)
	switch {
	case err != nil:
		return nil, "its schema is no JSON"
	case len(encoded) > maxSchema:
		return nil, fmt.Sprintf("its schema has more than %d kB", maxSchema>>10)
	}
	var root map[string]any
	if json.Unmarshal(encoded, &root) != nil || root == nil {
		return nil, "its schema is no object"
	}
	if tooDeep(root, maxDepth) {
		return nil, "its schema is nested too deep"
	}
	follow(root)
	if kind, set := root["type"]; set && kind != "object" {
		return nil, "its arguments are no object"
	}
	root["type"] = "object"
	properties, ok := root["properties"].(map[string]any)
	if !ok {
		properties = map[string]any{}
	}
	root["properties"] = properties
	flatten(root, properties)
	required, _ := root["required"].([]any)
	if required = slices.DeleteFunc(required, func(name any) bool { _, isText := name.(string); return !isText }); len(required) > 0 {
		root["required"] = required
	} else {
		delete(root, "required")
	}
	for _, key := range []string{"$id", "id", "$comment", "title", "examples"} {
		delete(root, key)
	}
	cleanNotes(root)
	if encoded, err = json.Marshal(root); err != nil {
		return nil, "its schema is no JSON"
	}
	return encoded, ""
}

// follow puts the schema that the root refers to in its place.
func follow(root map[string]any) {
	ref, isText := root["$ref"].(string)
	if !isText {
		return
	}
	delete(root, "$ref")
	path, local := strings.CutPrefix(ref, "#/")
	if !local {
		return
	}
	var target any = root
	for part := range strings.SplitSeq(path, "/") {
		object, _ := target.(map[string]any)
		target = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	object, _ := target.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if _, set := root[key]; !set && key != "$ref" {
			root[key] = object[key]
		}
	}
}

// flatten takes alternatives off the root, and leaves the properties that they
// speak of. The server still checks what goes together.
func flatten(root, properties map[string]any) {
	for _, key := range []string{"allOf", "anyOf", "oneOf"} {
		parts, _ := root[key].([]any)
		for _, part := range parts {
			object, _ := part.(map[string]any)
			more, _ := object["properties"].(map[string]any)
			for _, name := range slices.Sorted(maps.Keys(more)) {
				if _, set := properties[name]; !set {
					properties[name] = more[name]
				}
			}
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "enum", "const"} {
		delete(root, key)
	}
}

func tooDeep(value any, room int) bool {
	if room == 0 {
		return true
	}
	deeper := func(value any) bool { return tooDeep(value, room-1) }
	switch value := value.(type) {
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(value)), deeper)
	case []any:
		return slices.ContainsFunc(value, deeper)
	default:
		return false
	}
}

// cleanNotes cleans what people and models read of a schema.
func cleanNotes(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			text, isText := inner.(string)
			if isText && (key == "description" || key == "title" || key == "$comment") {
				value[key] = cleanText(text, maxDescription)
				continue
			}
			cleanNotes(inner)
		}
	case []any:
		for _, inner := range value {
			cleanNotes(inner)
		}
	}
}

// cleanText makes text of what a server wrote: valid, at most so many bytes, and
// without characters that nobody sees (control characters, and those that turn
// the direction or hide words from people but not from models).
func cleanText(text string, limit int) string {
	cut := len(text) > 4*limit
	if cut { // what is far behind the end need not be looked at
		text = text[:4*limit]
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d': // the last two join letters
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, text)
	if len(text) <= limit && !cut {
		return text
	}
	text = text[:min(len(text), limit)]
	for len(text) > 0 && !utf8.ValidString(text) { // the last rune may be cut
		text = text[:len(text)-1]
	}
	return text + "…"
}
