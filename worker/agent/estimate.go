package agent

import (
	"sync"
	"sync/atomic"
	"time"

	"hermes/worker/llm"
)

// What a transcript is estimated by. A token is about four bytes of prose in any
// script; JSON and the output of commands have more tokens for their bytes. How far
// off that is for a model shows with each answer, see learned.
const (
	bytesPerToken = 4
	denseTimes    = 8 // dense text counts denseTimes/denseBy times its bytes
	denseBy       = 5
	messageTokens = 4     // of a message beside its words
	imageTokens   = 1_200 // about what the large providers count for one
)

// tokensOf estimates the tokens of a message, from lengths alone.
func tokensOf(m llm.Message) int {
	prose, dense, images := 0, 0, 0
	for _, part := range m.Parts {
		switch {
		case part.ImageURL != "":
			images++
		case m.Role == llm.Tool:
			dense += len(part.Text)
		default:
			prose += len(part.Text)
		}
	}
	for _, call := range m.ToolCalls {
		dense += len(call.ID) + len(call.Name) + len(call.Arguments)
	}
	dense += len(m.ToolCallID)
	for _, extra := range m.Extras { // thinking that goes back to its provider
		prose += len(extra)
	}
	return messageTokens + images*imageTokens + (prose+dense*denseTimes/denseBy)/bytesPerToken
}

// tokensOfAll estimates the tokens of messages.
func tokensOfAll(messages []llm.Message) int {
	sum := 0
	for i := range messages {
		sum += tokensOf(messages[i])
	}
	return sum
}

// tokensOfTools estimates the tokens of what is said of tools.
func tokensOfTools(specs []llm.ToolSpec) int {
	dense := 0
	for _, spec := range specs {
		dense += len(spec.Name) + len(spec.Description) + len(spec.Parameters)
	}
	return dense / bytesPerToken
}

const (
	// newWeight is the weight of the newest answer in the ratio that is learned.
	newWeight = 0.3
	// A ratio beyond these is no property of a model. Less is the count of a part:
	// what a server had cached may be missing, or what it has dropped.
	leastRatio, mostRatio = 0.4, 4
	// leastLearned is how long a request must be to learn from. Of a shorter one most
	// is what its provider adds.
	leastLearned = 400
	// limitHolds is how long a limit is believed that was learned from a refusal:
	// behind the name of a model may be another one by then.
	limitHolds = time.Hour
)

// learned is what an agent has found out about its models while it worked: how far
// its estimates are off, and where their windows truly end.
type learned struct {
	noEffort atomic.Bool // the model has refused a reasoning effort

	mu     sync.Mutex         // guards what follows
	ratios map[string]float64 // real tokens by estimated ones; the key is llm.Message.Origin
	latest string             // the origin that answered last
	limits map[string]limit   // by llm.Error.Upstream
	rests  time.Time          // no summary is tried before
}

// limit is how long a window is, as a refusal has told.
type limit struct {
	tokens int // of request and answer
	until  time.Time
}

// ratio is the one of the model that answered last.
func (k *learned) ratio() float64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ratio, ok := k.ratios[k.latest]; ok {
		return ratio
	}
	return 1
}

// answered takes note of how many tokens a request truly had, and reports whether
// that can be.
func (k *learned) answered(origin string, counted, estimated int) bool {
	ratio := float64(counted) / float64(max(estimated, 1))
	if ratio < leastRatio || estimated < leastLearned {
		return ratio >= leastRatio
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	ratio = min(ratio, mostRatio)
	if before, ok := k.ratios[origin]; ok {
		ratio = (1-newWeight)*before + newWeight*ratio
	}
	k.set(origin, ratio)
	return true
}

// refused takes note of a request that was too long for an upstream: of the window's
// length and of the request's, each 0 if it is not known. The estimate of the request
// was too low if it fits into the window.
func (k *learned) refused(upstream string, tokens, counted, estimated int, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.limits == nil {
		k.limits = map[string]limit{}
	}
	k.limits[upstream] = limit{tokens, now.Add(limitHolds)}
	before, ok := k.ratios[k.latest]
	if !ok {
		before = 1
	}
	if estimated > 0 {
		k.set(k.latest, min(max(before, float64(counted)/float64(estimated)), mostRatio))
	}
}

// set needs mu.
func (k *learned) set(origin string, ratio float64) {
	if k.ratios == nil {
		k.ratios = map[string]float64{}
	}
	k.ratios[origin], k.latest = ratio, origin
}

// window is the limit of an upstream that was learned, or 0.
func (k *learned) window(upstream string, now time.Time) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	learned := k.limits[upstream]
	if now.After(learned.until) {
		return 0
	}
	return learned.tokens
}

// rest keeps summaries from being tried again at once.
func (k *learned) rest(until time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rests = until
}

func (k *learned) resting(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return now.Before(k.rests)
}
