package anthropic

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"hermes/worker/llm"
	"hermes/worker/llm/upstream"
)

// quirks are what a client has learned about its model by being refused. They
// last as long as the client.
type quirks uint32

const (
	// noSampling: temperature and top_p may not be set.
	noSampling quirks = 1 << iota
	// noBudget: thinking takes no budget, it is adaptive.
	noBudget
	// noAdaptive: thinking is not adaptive, it takes a budget.
	noAdaptive
	// noThinking: thinking cannot be asked for.
	noThinking
	// noDisabling: thinking cannot be switched off.
	noDisabling
	// noEffort: the effort cannot be set.
	noEffort
	// noDisplay: whether thoughts are shown cannot be set.
	noDisplay
	// noForcing: the model cannot be made to call a tool.
	noForcing
	// noFormat: answers cannot be held to a schema, or not to one like that.
	noFormat
)

// maxAllowed and maxRoom find the numbers in refusals such as "max_tokens: 64000
// > 8192, which is the maximum allowed number of output tokens" and "input length
// and `max_tokens` exceed context limit: 190000 + 64000 > 200000".
var (
	maxAllowed = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`max_tokens: \d+ > (\d+)`)
	})
	maxRoom = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`exceed context limit: (\d+) \+ \d+ > (\d+)`)
	})
)

// minRoom is the shortest answer that is still worth asking for.
const minRoom = 1_024

// learn reads out of a refusal what the next attempt should do differently, and
// reports whether there is anything.
func (c *Client) learn(t task, refused *llm.Error) (task, bool) {
	if refused.Status != http.StatusBadRequest && refused.Status != http.StatusUnprocessableEntity {
		return t, false
	}
	if m := maxAllowed().FindStringSubmatch(refused.Message); m != nil {
		limit, err := strconv.Atoi(m[1])
		if err != nil || limit <= 0 || limit >= t.maxTokens() {
			return t, false
		}
		c.limit.Store(int64(limit))
		t.limit, t.MaxTokens = limit, min(t.MaxTokens, limit)
		return t, true
	}
	if m := maxRoom().FindStringSubmatch(refused.Message); m != nil {
		input, err := strconv.Atoi(m[1])
		window, err2 := strconv.Atoi(m[2])
		room := window - input
		if err != nil || err2 != nil || room < minRoom || room >= t.maxTokens() {
			return t, false
		}
		t.limit, t.MaxTokens = room, min(t.MaxTokens, room) // for this request only
		return t, true
	}
	words := strings.ToLower(refused.Message)
	if strings.Contains(words, "thinking") && !t.plain && upstream.Mentions(words, []string{"signature", "cannot be modified", "thinking blocks", "thinking block"}) {
		t.plain = true // for this request only: its history does not fit the thoughts in it
		return t, true
	}
	quirk := quirkIn(words)
	if quirk == 0 || t.quirks&quirk != 0 {
		return t, false
	}
	t.quirks |= quirk
	return t, true
}

// quirkIn names what a refusal is about, 0 when it is nothing that could be left
// out.
func quirkIn(words string) quirks {
	has := func(parts ...string) bool { return upstream.Mentions(words, parts) }
	switch {
	case has("tool_choice", "forced tool", "forces tool use"):
		return noForcing
	case has("thinking.type.disabled", `"disabled"`):
		return noDisabling
	case has("thinking.type.enabled", "budget_tokens") && has("not supported", "adaptive", "not permitted"):
		return noBudget
	case has("display") && has("thinking", "extra inputs"):
		return noDisplay
	case has("adaptive") && has("not supported", "not support", "does not match", "expected"):
		return noAdaptive
	case has("output_config.format", "output_format", "json_schema", "schema") && !has("input_schema", "tools."):
		return noFormat
	case has("output_config", "effort"):
		return noEffort
	case has("temperature", "top_p", "top_k"):
		return noSampling
	case has("thinking") && has("not supported", "not support", "extra inputs"):
		return noThinking
	default:
		return 0
	}
}
