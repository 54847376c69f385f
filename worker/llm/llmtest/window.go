package llmtest

import (
	"fmt"
	"net/http"
)

// Tokens is how many tokens Windowed counts in a request: one for each 3.5 bytes of
// its body. It is meant to be another count than anybody's estimate.
func Tokens(call Call) int { return len(call.Body) * 2 / 7 }

// Windowed makes a model that takes requests up to a number of tokens and refuses
// longer ones in the words of the chat completions API. It reports the usage that it
// has counted.
func Windowed(window int, answer func(Call) Reply) func(Call) Reply {
	return func(call Call) Reply {
		tokens := Tokens(call)
		if tokens > window {
			return Reply{Status: http.StatusBadRequest, Message: fmt.Sprintf(
				"This model's maximum context length is %d tokens. However, your messages resulted in %d tokens. Please reduce the length of the messages.",
				window, tokens)}
		}
		reply := answer(call)
		if reply.Prompt == 0 {
			reply.Prompt = tokens
		}
		return reply
	}
}
