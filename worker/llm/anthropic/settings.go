package anthropic

import (
	"cmp"

	"hermes/worker/llm/upstream"
)

const (
	// minBudget is the least that thinking may be given:
	// https://platform.claude.com/docs/en/build-with-claude/extended-thinking.
	minBudget = 1_024
	// minTopP is the least top_p beside thinking, from the same page.
	minTopP = 0.95
)

// How much a model may think, by the effort that is asked for. The steps are
// those that other gateways use; more than 32,768 is advised for batches only.
const (
	budgetLow    = 4_096
	budgetMedium = 10_240
	budgetHigh   = 24_576
	budgetMax    = 32_768
)

// maxTokens is how many tokens the answer may have.
func (t task) maxTokens() int { return cmp.Or(t.MaxTokens, t.limit) }

// settings writes thinking, effort, format and sampling.
func (t task) settings(e *upstream.Encoder) {
	thinks := t.thinking(e)
	t.outputConfig(e)
	if t.traits.sampling && t.quirks&noSampling == 0 {
		switch {
		case !thinks && t.Temperature != nil:
			// Newer ones of these models take one of the two only. Anthropic's scale
			// ends at 1, OpenAI's at 2.
			temperature := min(*t.Temperature, 1)
			e.Float("temperature", &temperature)
		case !thinks || t.TopP != nil && *t.TopP >= minTopP:
			e.Float("top_p", t.TopP)
		}
	}
	if len(t.Stop) > 0 {
		e.Raw(`,"stop_sequences":`)
		e.List(len(t.Stop), func(i int) { e.Text(t.Stop[i]) })
	}
	if t.User != "" {
		e.Raw(`,"metadata":{"user_id":`).Text(t.User).Raw("}")
	}
}

// thinking writes whether and how the model thinks, and reports whether it does.
// Where a tool is forced it must not; where it does so by itself the thoughts are
// asked for, because newer models keep them back unless they are.
func (t task) thinking(e *upstream.Encoder) bool {
	if !t.traits.thinks || t.quirks&noThinking != 0 {
		return false
	}
	always := t.traits.always && t.quirks&noAdaptive == 0
	forced := t.forced() && t.quirks&noForcing == 0
	switch {
	case t.ReasoningEffort == "none" || forced:
		if always && t.quirks&noDisabling == 0 {
			e.Raw(`,"thinking":{"type":"disabled"}`)
			return false
		}
		return always
	case t.ReasoningEffort == "":
		if always {
			t.adaptively(e)
		}
		return always
	case t.quirks&noBudget != 0, t.traits.adaptive && t.quirks&noAdaptive == 0:
		t.adaptively(e)
		return true
	}
	budget := min(t.budget(), t.maxTokens()/2)
	if budget < minBudget {
		return false
	}
	e.Raw(`,"thinking":{"type":"enabled","budget_tokens":`).Int(budget).Raw("}")
	return true
}

// adaptively lets the model think as it sees fit, and asks for its thoughts.
func (t task) adaptively(e *upstream.Encoder) {
	if t.quirks&noDisplay != 0 {
		e.Raw(`,"thinking":{"type":"adaptive"}`)
		return
	}
	e.Raw(`,"thinking":{"type":"adaptive","display":"summarized"}`)
}

// budget is how many tokens the model may think, by the effort asked for.
func (t task) budget() int {
	switch t.ReasoningEffort {
	case "minimal":
		return minBudget
	case "low":
		return budgetLow
	case "high":
		return budgetHigh
	case "xhigh", "max":
		return budgetMax
	default:
		return budgetMedium
	}
}

// outputConfig writes the effort and the format of the answer.
func (t task) outputConfig(e *upstream.Encoder) {
	effort := t.effort()
	if effort == "" && !t.formatted() {
		return
	}
	e.Raw(`,"output_config":{`)
	if effort != "" {
		e.Raw(`"effort":`).Text(effort)
	}
	if t.formatted() {
		if effort != "" {
			e.Raw(",")
		}
		schema, _ := t.format()
		e.Raw(`"format":{"type":"json_schema","schema":`).JSON(schema).Raw("}")
	}
	e.Raw("}")
}

// effort is the effort in Anthropic's words, "" when there is none to send:
// https://platform.claude.com/docs/en/build-with-claude/effort.
func (t task) effort() string {
	adaptive := t.traits.adaptive || t.quirks&noBudget != 0
	if !adaptive || t.quirks&(noEffort|noAdaptive) != 0 {
		return ""
	}
	switch t.ReasoningEffort {
	case "low", "medium", "high", "max":
		return t.ReasoningEffort
	case "minimal":
		return "low"
	case "xhigh":
		if t.traits.xhigh {
			return "xhigh"
		}
		return "high"
	case "none":
		if t.quirks&noDisabling != 0 {
			return "low" // as near as it gets
		}
		return ""
	default:
		return ""
	}
}
