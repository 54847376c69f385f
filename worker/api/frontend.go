package api

import (
	"net/http"
	"strings"

	"hermes/worker/openai"
)

// fromOpenWebUI reports whether a request comes from Open WebUI. It is told by
// the headers that it can be set to send, else by its HTTP library. Two things
// depend on it: Open WebUI draws progress events, and it offers tools of its own
// in every request whether anybody asked for them or not.
func fromOpenWebUI(h http.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, "X-Openwebui-") {
			return true
		}
	}
	return strings.Contains(h.Get("User-Agent"), "aiohttp")
}

// fromAgentSDK reports whether a request comes from a library that runs tools and
// repeats requests by itself: the AI SDK or LangChain. Three things depend on it.
// They take every function_call of a response for work of their own; they would
// refuse the answer, or report a call of a tool that they do not have. They
// repeat what has failed without the header in which the official SDKs say so,
// whatever X-Should-Retry says. And one of them shows no message of an error that
// has a null in it.
func fromAgentSDK(h http.Header) bool {
	agent := strings.ToLower(h.Get("User-Agent"))
	// ai-sdk/provider-utils/5.0.34, ai-sdk-provider-utils/5.0.81, langchainjs-openai/1.0.0
	return strings.Contains(agent, "ai-sdk") || strings.Contains(agent, "langchain")
}

// fromTerminal reports whether a request comes from hermes chat. Four things
// depend on it. It gets one item for each call of a tool, whose events say how
// the call is to be shown; it stops a turn by leaving, whatever stands in the
// settings of other clients; and its sessions are known by their source.
func fromTerminal(h http.Header) bool {
	return strings.HasPrefix(h.Get("User-Agent"), openai.TerminalAgent)
}

// progress says how a stream shows tools. Both may be true, or none.
type progress struct {
	inline bool // a line in the text
	events bool // chunks that carry an event
}

// progressOf resolves display.tool_progress for one request.
func progressOf(setting string, openWebUI bool) progress {
	switch setting {
	case "inline":
		return progress{inline: true}
	case "event":
		return progress{events: true}
	case "both":
		return progress{inline: true, events: true}
	case "off":
		return progress{}
	default: // auto
		return progress{inline: !openWebUI, events: openWebUI}
	}
}

// chatHeader is the header, in its canonical form, in which Open WebUI can be set
// to name the chat of a request (ENABLE_FORWARD_USER_INFO_HEADERS).
const chatHeader = "X-Openwebui-Chat-Id"

// sessionOf names the session of a chat whose frontend tells which chat it is, and
// is empty for all others: they are told by their history.
func sessionOf(h http.Header) string {
	if id := h.Get(chatHeader); saneID(id) {
		return "openwebui_" + id
	}
	return ""
}
