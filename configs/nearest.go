package configs

import (
	"cmp"
	"slices"
	"strings"
)

// Nearest returns up to three names of settings that a mistyped key may have
// meant, the likeliest first. A key that is only spelled in another case, with
// underscores for dots, or without its section is found too.
func Nearest(key string) []string {
	type candidate struct {
		name     string
		distance int
	}
	wanted := plainKey(key)
	var found []candidate
	for _, k := range Keys() {
		names := []string{k.Key}
		if k.Env != "" {
			names = []string{k.Env, k.Key}
		}
		distance := EditDistance(wanted, plainKey(k.Key))
		if d := EditDistance(wanted, k.Leaf()) + 1; d < distance {
			distance = d
		}
		if len(wanted) >= 4 && strings.HasPrefix(plainKey(k.Key), wanted) {
			distance = min(distance, 1)
		}
		if distance > max(2, len(wanted)/4) {
			continue
		}
		name := names[0]
		if strings.ToLower(key) == key && strings.Contains(key, ".") {
			name = k.Key // the user thinks of config.yaml
		}
		found = append(found, candidate{name, distance})
	}
	for _, p := range providers() {
		if p.KeyEnv == "" {
			continue
		}
		if d := EditDistance(wanted, plainKey(p.KeyEnv)); d <= max(2, len(wanted)/6) {
			found = append(found, candidate{p.KeyEnv, d})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	names := make([]string, 0, 3)
	for _, c := range found[:min(3, len(found))] {
		names = append(names, c.name)
	}
	return names
}

// didYouMean is the end of a sentence about an unknown key.
func didYouMean(key string) string {
	names := Nearest(key)
	if len(names) == 0 {
		return "; `hermes config list` shows all settings"
	}
	return "; did you mean " + joinOr(names) + "?"
}

// joinOr writes a list as "a, b or c".
func joinOr(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func plainKey(key string) string {
	key = strings.TrimPrefix(key, "platforms.")
	return strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToLower(key))
}

// EditDistance counts the insertions, deletions and changes between two texts.
// Long texts are no typing mistakes; they are infinitely far.
func EditDistance(a, b string) int {
	const far = 1 << 20
	if len(a) > 64 || len(b) > 64 {
		return far
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
