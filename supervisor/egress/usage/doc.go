// Package usage finds out how many tokens a request to a model costs, while request
// and answer go by: what the server counts, and where it does not say so, or not yet,
// an estimate from what was sent and said.
//
// It reads the wires that the clients in worker/llm speak: chat completions,
// Anthropic's messages and Ollama's chat, each as one JSON value or as a stream. It
// keeps no more than a few words of what it reads, whatever that is, and
// never looks into a string for anything but its end: what a model writes of tokens is
// text, and counts as such.
package usage
