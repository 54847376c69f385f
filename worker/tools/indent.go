package tools

import (
	"maps"
	"slices"
	"strings"
)

// indentation returns the white space that a line begins with.
func indentation(line string) string {
	return line[:len(line)-len(strings.TrimLeft(line, " \t"))]
}

// sameStructure reports whether two lists of lines, which differ in white space
// only, are indented alike: lines that are equally deep in one are so in the
// other. In some languages the depth is the meaning.
func sameStructure(a, b []string) bool {
	to := make(map[string]string)
	from := make(map[string]string)
	for i := range a {
		if strings.TrimSpace(a[i]) == "" {
			continue
		}
		x, y := indentation(a[i]), indentation(b[i])
		if known, ok := to[x]; ok && known != y {
			return false
		}
		if known, ok := from[y]; ok && known != x {
			return false
		}
		to[x], from[y] = y, x
	}
	return true
}

// reindent gives a replacement the indentation of the file. The model has
// written old where the file has found: from these pairs it follows what the
// file writes for an indentation of the model.
func reindent(replacement string, old, found []string) string {
	known := make(map[string]string)
	same := true
	for i := range min(len(old), len(found)) {
		if strings.TrimSpace(old[i]) == "" {
			continue
		}
		x, y := indentation(old[i]), indentation(found[i])
		if _, ok := known[x]; !ok {
			known[x] = y
		}
		same = same && x == y
	}
	if same {
		return replacement
	}
	unit, fileUnit := step(known)
	var out strings.Builder
	for line := range strings.SplitAfterSeq(replacement, "\n") {
		if strings.TrimSpace(line) == "" {
			out.WriteString(line)
			continue
		}
		indent := indentation(line)
		out.WriteString(translate(indent, known, unit, fileUnit))
		out.WriteString(line[len(indent):])
	}
	return out.String()
}

// step returns what one level of indentation is for the model and for the file,
// as far as the known depths show it.
func step(known map[string]string) (model, file string) {
	depths := slices.Sorted(maps.Keys(known))
	for _, shallow := range depths {
		for _, deep := range depths {
			more, ok := strings.CutPrefix(deep, shallow)
			fileMore, fileOK := strings.CutPrefix(known[deep], known[shallow])
			if ok && fileOK && more != "" && fileMore != "" && (model == "" || len(more) < len(model)) {
				model, file = more, fileMore
			}
		}
	}
	if model != "" {
		return model, file
	}
	for _, depth := range depths { // where one of the two uses tabs, they count the levels
		to := known[depth]
		if n := strings.Count(to, "\t"); n > 0 && n == len(to) && len(depth) > 0 && len(depth)%n == 0 {
			return depth[:len(depth)/n], "\t"
		}
		if n := strings.Count(depth, "\t"); n > 0 && n == len(depth) && len(to) > 0 && len(to)%n == 0 {
			return "\t", to[:len(to)/n]
		}
	}
	return "", ""
}

// translate returns the file's indentation for one of the model.
func translate(indent string, known map[string]string, unit, fileUnit string) string {
	if to, ok := known[indent]; ok {
		return to
	}
	// The deepest known indentation that this one goes on from, and the
	// shallowest of all.
	depths := slices.Sorted(maps.Keys(known))
	for _, base := range slices.Backward(depths) {
		if more, ok := strings.CutPrefix(indent, base); ok {
			return known[base] + levels(more, unit, fileUnit)
		}
	}
	for _, shallow := range depths {
		less, ok := strings.CutPrefix(shallow, indent)
		if !ok {
			continue
		}
		if to, ok := strings.CutSuffix(known[shallow], levels(less, unit, fileUnit)); ok {
			return to
		}
	}
	return indent
}

// levels translates indentation level by level.
func levels(more, unit, fileUnit string) string {
	if unit == "" {
		return more
	}
	var out strings.Builder
	for strings.HasPrefix(more, unit) {
		out.WriteString(fileUnit)
		more = more[len(unit):]
	}
	return out.String() + more
}
