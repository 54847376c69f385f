package openai

// TerminalAgent begins the User-Agent of the terminal client, hermes chat, by
// which the API knows it.
const TerminalAgent = "hermes-chat/"
