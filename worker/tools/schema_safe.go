package tools

import (
	"slices"
	"strconv"
	"strings"
)

// maxInPlace is how many schemas may apply to one value.
const maxInPlace = 2000

// endless reports whether checking a value by a schema may not come to an end, or
// not soon: because a schema refers to itself for the same value, or because
// references multiply. The library overflows its stack then, which no process
// survives. What cannot be followed here (other documents, anchors, ids) counts as
// endless.
func endless(root any) bool {
	e := &expansion{root: root, cost: map[string]int{}, open: map[string]bool{}}
	return !e.walk(root, "#")
}

// expansion follows references through a schema.
type expansion struct {
	root any
	// cost is how many schemas apply to a value of the schema at a place, 0 while
	// that is not known.
	cost map[string]int
	open map[string]bool // places on the way
}

// walk looks at all schemas, wherever they stand.
func (e *expansion) walk(value any, place string) bool {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range []string{"$id", "id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveRef", "$recursiveAnchor"} {
			if _, isText := value[key].(string); isText {
				return false
			}
		}
		if _, ok := e.count(value, place); !ok {
			return false
		}
		for key, inner := range value {
			if !e.walk(inner, inside(place, key)) {
				return false
			}
		}
	case []any:
		for i, inner := range value {
			if !e.walk(inner, place+"/"+strconv.Itoa(i)) {
				return false
			}
		}
	}
	return true
}

// count returns how many schemas apply to one value of a schema.
func (e *expansion) count(value any, place string) (n int, ok bool) {
	schema, isObject := value.(map[string]any)
	if !isObject {
		return 1, true
	}
	if n := e.cost[place]; n > 0 {
		return n, true
	}
	if e.open[place] {
		return 0, false
	}
	e.open[place] = true
	defer delete(e.open, place)
	sum := 1
	add := func(value any, place string) bool {
		n, ok := e.count(value, place)
		sum += n
		return ok && sum <= maxInPlace
	}
	if ref, isText := schema["$ref"].(string); isText {
		target, found := e.target(ref)
		if !found || !add(target, ref) {
			return 0, false
		}
	}
	for _, key := range []string{"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"} {
		switch part := schema[key].(type) {
		case []any:
			for i, inner := range part {
				if !add(inner, place+"/"+key+"/"+strconv.Itoa(i)) {
					return 0, false
				}
			}
		case map[string]any:
			if !strings.HasPrefix(key, "depend") {
				if !add(part, place+"/"+key) {
					return 0, false
				}
				continue
			}
			for name, inner := range part {
				if !add(inner, inside(place+"/"+key, name)) {
					return 0, false
				}
			}
		}
	}
	e.cost[place] = sum
	return sum, true
}

// inside is the place of a key, written as references write it: no two places may
// have the same.
func inside(place, key string) string {
	return place + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}

// target is the schema that a reference within the document leads to.
func (e *expansion) target(ref string) (any, bool) {
	path, local := strings.CutPrefix(ref, "#")
	if !local || strings.Contains(path, "%") || path != "" && path[0] != '/' {
		return nil, false
	}
	value := e.root
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if path == "" {
			break
		}
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch inner := value.(type) {
		case map[string]any:
			value = inner[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(inner) {
				return nil, false
			}
			value = inner[i]
		default:
			return nil, false
		}
	}
	return value, value != nil
}

// refers reports whether there is a reference anywhere in a schema.
func refers(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if key == "$ref" || key == "$dynamicRef" || refers(inner) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, refers)
	}
	return false
}
