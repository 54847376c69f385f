package api

import (
	"net/http"
	"testing"
)

func TestKnowsWhoRepeatsUnannounced(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]bool{
		"ai/7.0.173 ai-sdk-provider-utils/5.0.81 node.js/22":                    true,
		"ai/7.0.173 ai-sdk/provider-utils/5.0.34 runtime/node.js/22":            true,
		"ai-sdk/openai-compatible/1.0.22 ai-sdk/provider-utils/3.0.12":          true,
		"langchainjs-openai/1.0.0 ((node/v22.23.3; linux; x64))":                true,
		"langchainjs-openai/1.0.0 ((node/v22.23.3; linux; x64))OpenAI/JS 7.1.0": true,
		"OpenAI/JS 7.57.0":        false,
		"OpenAI/Python 2.11.0":    false,
		"Python/3.11 aiohttp/3.1": false,
		"":                        false,
	} {
		if got := fromAgentSDK(http.Header{"User-Agent": {agent}}); got != want {
			t.Errorf("%q: %t, want %t", agent, got, want)
		}
	}
}
