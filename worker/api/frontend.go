package api

import (
	"net/http"
	"strings"
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
