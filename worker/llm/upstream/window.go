package upstream

import (
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// leastWindow is the smallest number that is taken for the length of a window: a
// status, or a version in the name of a model, is none.
const leastWindow = 512

var (
	// windowPattern finds the length of the model's window in the words of a refusal.
	// In order: OpenAI, vLLM, LM Studio, xAI; llama.cpp; Copilot and Anthropic;
	// Google; LM Studio's engine; Mistral; Anthropic's "208310 tokens > 200000 maximum".
	windowPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)(?:\blength (?:is|of)(?: only)?|size \(|limit (?:of|is)|allowed \(|n_ctx["' :=]*|model with|>=?) ?(\d[\d,]*)`)
	})
	numberPattern = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\d[\d,]*`)
	})
)

// window reads how many tokens a model takes and how many a request had out of what
// a server says of one that was too long. What it does not say is 0.
func window(message string) (limit, sent int) {
	for _, found := range windowPattern().FindAllStringSubmatch(message, -1) {
		if n := count(found[1]); n >= leastWindow {
			limit = n
			break
		}
	}
	if limit == 0 {
		return 0, 0
	}
	for _, digits := range numberPattern().FindAllString(message, -1) {
		sent = max(sent, count(digits))
	}
	// Far beyond it is no length of a request, but the name of one or a time.
	if sent <= limit || sent > 100*limit {
		sent = 0
	}
	return limit, sent
}

// count reads a number with or without commas, 0 if it is too large.
func count(digits string) int {
	n, err := strconv.Atoi(strings.ReplaceAll(digits, ",", ""))
	if err != nil || n > 1<<30 {
		return 0
	}
	return n
}
