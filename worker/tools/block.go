package tools

import (
	"slices"
	"strings"
)

const (
	// blockSimilarity is how alike (0 to 1) the inner lines of a block must be
	// when only its first and last line are the same.
	blockSimilarity = 0.8
	// maxCompared bounds, in bytes, the work on a file in which those two lines
	// abound.
	maxCompared = 8 << 20
)

// findBlock finds a block of three lines or more by its first and last line, if
// what is between them is much alike.
func findBlock(content, old, replacement string) []edit {
	from, wanted := splitLines(content), splitLines(strings.Trim(old, "\n"))
	keys, model := from.all(strings.TrimSpace), wanted.all(asIs)
	n := len(model)
	if n < 3 {
		return nil
	}
	first, last := strings.TrimSpace(model[0]), strings.TrimSpace(model[n-1])
	if first == "" || last == "" {
		return nil
	}
	inner := strings.Join(wanted.all(strings.TrimSpace)[1:n-1], "\n")
	lasts := windows(keys, []string{last})
	var edits []edit
	compared := 0
	for i := 0; i < len(keys); i++ {
		if keys[i] != first {
			continue
		}
		best, bestEnd := 0.0, 0
		next, _ := slices.BinarySearch(lasts, i+max(2, n-1-n/4))
		for _, j := range lasts[next:] {
			if j > i+n-1+n/4 {
				break
			}
			found := strings.Join(keys[i+1:j], "\n")
			if compared += len(inner) + len(found) + 100; compared > maxCompared {
				return nil
			}
			if s := similarity(inner, found); s > best {
				best, bestEnd = s, j
			}
		}
		if best < blockSimilarity {
			continue
		}
		ends, found := []string{model[0], model[n-1]}, []string{from.line(i), from.line(bestEnd)}
		if sameStructure(ends, found) {
			edits = append(edits, from.edit(i, bestEnd+1, ends, found, strings.Trim(replacement, "\n")))
			i = bestEnd
		}
	}
	return edits
}

// similarity is 1 for equal texts and 0 for those that have nothing in common: the
// share of the pairs of neighbouring bytes that are in both (Dice).
func similarity(a, b string) float64 {
	if a == b {
		return 1
	}
	if len(a) < 2 || len(b) < 2 {
		return 0
	}
	pairs := make(map[[2]byte]int)
	for i := range len(a) - 1 {
		pairs[[2]byte{a[i], a[i+1]}]++
	}
	common := 0
	for i := range len(b) - 1 {
		pair := [2]byte{b[i], b[i+1]}
		if pairs[pair] > 0 {
			pairs[pair]--
			common++
		}
	}
	return 2 * float64(common) / float64(len(a)-1+len(b)-1)
}

// resembling returns the numbers, from 0, of the lines that are most like the
// first line of old, to show a model that has not found what it looked for.
func resembling(content lines, old string) []int {
	wanted := firstLine(old)
	if wanted == "" {
		return nil
	}
	type place struct {
		line  int
		alike float64
	}
	var places []place
	for i := range content.count() {
		line := strings.TrimSpace(content.line(i))
		if 2*len(line) < len(wanted) || len(line) > 2*len(wanted)+20 {
			continue
		}
		if alike := similarity(wanted, line); alike > 0.6 {
			places = append(places, place{i, alike})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		switch {
		case a.alike > b.alike:
			return -1
		case a.alike < b.alike:
			return 1
		default:
			return 0
		}
	})
	var found []int
	for _, p := range places[:min(len(places), 3)] {
		found = append(found, p.line)
	}
	return found
}
