package demo

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxQuote is how many bytes of a tool's answer are quoted.
	maxQuote = 4000
	// maxEcho is how many bytes of what the user said are repeated.
	maxEcho = 200
)

// usage lists the commands, with the tool that each needs.
func usage() []struct{ tool, form string } {
	return []struct{ tool, form string }{
		{"terminal", "run `COMMAND`"},
		{"read_file", "read FILE"},
		{"write_file", "write FILE: TEXT"},
		{"search_files", "list files, or list *.go"},
		{"search_files", "search TEXT"},
		{"patch", "replace A with B in FILE"},
		{"memory", "remember TEXT"},
		{"memory", "what do you remember"},
	}
}

// reply says what came of the commands, and that this is no model.
func (c *Client) reply(t *turn) string {
	var b strings.Builder
	help := len(t.commands) == 0
	for i, cmd := range t.commands {
		result, done := t.results[i]
		switch {
		case cmd.verb == "help":
			help = true
		case cmd.verb == "recall":
			b.WriteString(t.recalled() + "\n\n")
		case done:
			b.WriteString(cmd.title() + " gave:\n\n" + quote(result) + "\n\n")
		case cmd.verb == "remember":
			b.WriteString("I cannot remember that: the tool `memory`, which could, is not available here.\n\n")
		default:
			b.WriteString(cmd.title() + " was not done: the tool `" + cmd.tool + "` is not available here.\n\n")
		}
	}
	if t.rest != "" {
		b.WriteString("I did not understand: " + echo(t.rest) + "\n\n")
	}
	if help || t.rest != "" {
		b.WriteString(t.help() + "\n\n")
	}
	b.WriteString(c.notice())
	return b.String()
}

// recalled says what the prompt tells of memory.
func (t *turn) recalled() string {
	_, section, found := strings.Cut(t.prompt, "\n# Memory\n")
	if !found {
		return "I remember nothing yet. What is saved in one session is known in the next."
	}
	section, _, _ = strings.Cut(section, "\n# ")
	return "When this session began, my memory held:\n\n" + quote(strings.TrimSpace(section))
}

// title names a command in a reply.
func (c command) title() string {
	label := c.label
	if c.verb == "run" && !strings.ContainsAny(label, "`\n") {
		label = "`" + label + "`"
	}
	return c.verb + " " + shorten(strings.Join(strings.Fields(label), " "), maxEcho)
}

// help lists the commands that can be carried out.
func (t *turn) help() string {
	var lines []string
	for _, u := range usage() {
		if _, ok := t.tool(u.tool); ok {
			lines = append(lines, "- "+u.form)
		}
	}
	if len(lines) == 0 {
		return "None of the tools that I could use is available here, so there is nothing that I can do."
	}
	return "What I understand, one command a line:\n\n" + strings.Join(append(lines, "- help"), "\n")
}

// notice says that no model is there, and how to get one.
func (c *Client) notice() string {
	command := "hermes"
	if c.profile != "" {
		command += " -p " + c.profile
	}
	return "No language model is configured; this is the built-in demo, which only carries out plain commands. " +
		"To configure one, run this in a terminal for any server with an OpenAI-compatible API:\n\n```\n" +
		command + " config set model.base_url http://127.0.0.1:11434/v1\n```\n\nor this for OpenAI:\n\n```\n" +
		command + " config set OPENAI_API_KEY sk-...\n```"
}

// echo repeats what the user said, in one short line.
func echo(text string) string {
	return "“" + shorten(strings.Join(strings.Fields(text), " "), maxEcho) + "”"
}

// quote puts a tool's answer into a fenced block that it cannot end.
func quote(text string) string {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return "(nothing)"
	}
	if cut := shorten(text, maxQuote); cut != text {
		text = cut + fmt.Sprintf("\n(%d bytes are not shown)", len(text)-len(cut)+len("…"))
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "\n" + text + "\n" + fence
}

// shorten cuts a text to at most so many bytes, between two characters.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	cut := limit - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
