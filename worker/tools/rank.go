package tools

import (
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"hermes/worker/llm"
)

// The usual constants of BM25, and how much more a word in the name says than one
// in the description.
const (
	saturation   = 1.2
	lengthWeight = 0.75
	nameWeight   = 3
)

// rankTools returns the tools that fit the words of a query, the best first
// (BM25 over name, description and names of arguments).
func rankTools(specs []llm.ToolSpec, query string) []llm.ToolSpec {
	type document struct {
		spec  llm.ToolSpec
		count map[string]float64
		size  float64
		score float64
	}
	documents := make([]document, len(specs))
	holding := map[string]float64{} // how many documents have a word
	var total float64
	for i, spec := range specs {
		d := document{spec: spec, count: map[string]float64{}}
		for _, part := range []struct {
			text   string
			weight float64
		}{{spec.Name, nameWeight}, {spec.Description, 1}, {strings.Join(argumentNames(spec.Parameters), " "), 1}} {
			for _, word := range searchWords(part.text) {
				d.count[word] += part.weight
				d.size += part.weight
			}
		}
		for word := range d.count {
			holding[word]++
		}
		total += d.size
		documents[i] = d
	}
	average := total / max(1, float64(len(documents)))
	wanted := searchWords(query)
	slices.Sort(wanted)
	for _, word := range slices.Compact(wanted) {
		weight := math.Log(1 + (float64(len(documents))-holding[word]+0.5)/(holding[word]+0.5))
		for i := range documents {
			d := &documents[i]
			n := d.count[word]
			d.score += weight * n * (saturation + 1) / (n + saturation*(1-lengthWeight+lengthWeight*d.size/max(1, average)))
		}
	}
	documents = slices.DeleteFunc(documents, func(d document) bool { return d.score == 0 })
	slices.SortStableFunc(documents, func(a, b document) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.spec.Name, b.spec.Name))
	})
	found := make([]llm.ToolSpec, len(documents))
	for i, d := range documents {
		found[i] = d.spec
	}
	return found
}

// searchWords splits text into words in lower case, also createIssue and
// create_issue, and takes endings off: creating and create are the same.
func searchWords(text string) []string {
	var spaced strings.Builder
	previous := ' '
	for _, r := range text {
		if unicode.IsUpper(r) && unicode.IsLower(previous) {
			spaced.WriteByte(' ')
		}
		spaced.WriteRune(r)
		previous = r
	}
	words := strings.FieldsFunc(strings.ToLower(spaced.String()), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i, word := range words {
		words[i] = stem(word)
	}
	return words
}

// stem takes the usual endings off an English word.
func stem(word string) string {
	const shortest = 4
	for _, ending := range []string{"s", "ing", "ed", "e"} {
		if root, found := strings.CutSuffix(word, ending); found && len(root) >= shortest-len(ending)/3 && !strings.HasSuffix(root, "s") {
			word = root
		}
	}
	return word
}

// argumentNames lists the properties of a schema.
func argumentNames(schema json.RawMessage) []string {
	var root struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &root) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(root.Properties))
}
