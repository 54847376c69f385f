package llm

import "strings"

// family is a row of the table of models.
type family struct {
	prefix string // of the model's id, small letters
	can    Capabilities
}

// families is what providers document of models that many people use and whose
// providers' lists say nothing. The first row that fits counts. What a provider
// says itself goes before the table, so a row that has aged costs little. From
// https://platform.claude.com/docs/en/about-claude/models/overview,
// https://platform.openai.com/docs/models and https://ai.google.dev/gemini-api/docs/models.
func families() []family {
	sees := func(context, output int, thinks bool) Capabilities {
		return Capabilities{ContextLength: context, OutputLimit: output, Tools: Supported, Vision: Supported, Reasoning: SupportIf(thinks)}
	}
	return []family{
		{"claude-fable-5", sees(1_000_000, 128_000, true)},
		{"claude-opus-5", sees(1_000_000, 128_000, true)},
		{"claude-sonnet-5", sees(1_000_000, 128_000, true)},
		{"claude-opus-4-1", sees(200_000, 32_000, true)},
		{"claude-opus-4-2", sees(200_000, 32_000, true)}, // claude-opus-4-20250514
		{"claude-3-7-", sees(200_000, 64_000, true)},
		{"claude-3-5-", sees(200_000, 8_192, false)},
		{"claude-3-", sees(200_000, 4_096, false)},
		{"claude-", sees(200_000, 64_000, true)}, // the least that any of the others has
		{"gpt-oss", Capabilities{ContextLength: 131_072, Tools: Supported, Vision: Unsupported, Reasoning: Supported}},
		{"gpt-5", sees(400_000, 128_000, true)},
		{"gpt-4.1", sees(1_047_576, 32_768, false)},
		{"gpt-4o", sees(128_000, 16_384, false)},
		{"o3", sees(200_000, 100_000, true)},
		{"o4-mini", sees(200_000, 100_000, true)},
		{"gemini-2.5-", sees(1_048_576, 65_536, true)},
		{"gemini-3", sees(1_048_576, 65_536, true)},
		{"gemini-flash-latest", sees(1_048_576, 65_536, true)},
	}
}

// Known is what the table says of a model, by its id with or without the name of
// its maker in front.
func Known(model string) Capabilities {
	model = strings.ToLower(model)
	model = model[strings.LastIndexByte(model, '/')+1:]
	for _, f := range families() {
		if strings.HasPrefix(model, f.prefix) {
			return f.can
		}
	}
	return Capabilities{}
}
