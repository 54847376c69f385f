package demo

import (
	"encoding/json"
	"regexp"
	"strings"
	"sync"

	"hermes/worker/llm"
)

// maxCommands is how many commands of one message are carried out.
const maxCommands = 20

// command is one thing that the user asks for.
type command struct {
	verb   string  // the word that it begins with
	tool   string  // empty for help
	fields []field // the tool's arguments
	label  string  // what it is about, in a few words
}

// field is one argument of a tool. An optional one is left out when the tool
// does not know it.
type field struct {
	name, value string
	optional    bool
}

// arguments writes the command's fields as JSON, in their order.
func (c command) arguments(spec llm.ToolSpec) string {
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	_ = json.Unmarshal(spec.Parameters, &schema) // without one, nothing optional is known
	var b strings.Builder
	for _, f := range c.fields {
		if _, known := schema.Properties[f.name]; f.optional && !known {
			continue
		}
		b.WriteString(separator(b.Len()) + quoted(f.name) + ":" + quoted(f.value))
	}
	return "{" + b.String() + "}"
}

func separator(written int) string {
	if written == 0 {
		return ""
	}
	return ","
}

func quoted(s string) string {
	literal, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(literal)
}

// parse reads the commands at the beginning of a message, and returns what is
// left of it behind them.
func parse(message string) (commands []command, rest string) {
	rest = strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n"))
	for rest != "" && len(commands) < maxCommands {
		found, after := parseOne(rest)
		if len(found) == 0 {
			break
		}
		commands = append(commands, found...)
		rest = strings.TrimSpace(after)
	}
	return commands, rest
}

var (
	verb = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?i:please[ \t]+)?([A-Za-z]+)(?:[ \t:]|\n|$)`)
	})
	// argument forms: `…`, "…", or as few words as will do.
	replace = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile("(?s)^(`[^`]*`|\"[^\"]*\"|.+?)[ \t]+with[ \t]+(`[^`]*`|\"[^\"]*\"|.*?)[ \t]+in[ \t]+(`[^`]+`|\"[^\"]+\"|\\S+)[ \t]*(?:\n|$)")
	})
	written = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile("^(`[^`]+`|\"[^\"]+\"|[^\\s:]+)[ \t]*:[ \t]?")
	})
	fence = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile("(?s)^\\s*(```+)[^\n]*\n(.*?)\n?[ \t]*(?:```+)[ \t]*(?:\n|$)")
	})
	backticks = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile("(?s)^[ \t]*(?:``([^`].*?)``|`([^`]+)`)(?:[ \t,;.]|and\\b|then\\b)*")
	})
	recall = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?i:please[ \t]+)?(?i:what do you remember)(?i:[ \t]+(?:about|of) me)?[ \t]*[?.!]*[ \t]*(?:\n|$)`)
	})
	filesWord = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?i)(?:all[ \t]+)?(?:the[ \t]+)?files$`)
	})
)

// parseOne reads the command that the text begins with. "run" may give several.
func parseOne(text string) (found []command, rest string) {
	at := verb().FindStringSubmatchIndex(text)
	if at == nil {
		return nil, text
	}
	after := strings.TrimLeft(text[at[3]:], ": \t")
	line, below, _ := strings.Cut(after, "\n")
	line = strings.TrimSpace(line)
	switch strings.ToLower(text[at[2]:at[3]]) {
	case "run":
		return parseRun(after)
	case "read":
		file := firstWord(line)
		return one("read", "read_file", plain(file), "path"), strings.TrimLeft(line[len(file):], ",;:!?") + "\n" + below
	case "write":
		return parseWrite(after)
	case "list":
		pattern := plain(line)
		if pattern == "" || filesWord().MatchString(pattern) {
			pattern = "*"
		}
		found = one("list", "search_files", pattern, "pattern")
		return withTarget(found, "files"), below
	case "search", "find":
		text := plain(strings.TrimPrefix(line, "for "))
		found = one("search", "search_files", text, "pattern")
		if len(found) > 0 {
			found[0].fields[0].value = regexp.QuoteMeta(text)
		}
		return withTarget(found, "content"), below
	case "replace":
		return parseReplace(after)
	case "remember":
		found = one("remember", "memory", strings.TrimSpace(after), "content")
		for i := range found {
			found[i].fields = append([]field{{name: "target", value: "memory"}, {name: "action", value: "add"}}, found[i].fields...)
		}
		return found, ""
	case "what":
		if m := recall().FindStringIndex(text); m != nil {
			return []command{{verb: "recall"}}, text[m[1]:]
		}
		return nil, text
	case "help":
		return []command{{verb: "help"}}, below
	default:
		return nil, text
	}
}

// one makes a command with one argument, none when the argument is missing.
func one(verb, tool, value, name string) []command {
	if value == "" {
		return nil
	}
	return []command{{verb: verb, tool: tool, label: value, fields: []field{{name: name, value: value}}}}
}

func withTarget(found []command, target string) []command {
	for i := range found {
		found[i].fields = append(found[i].fields, field{name: "target", value: target, optional: true})
	}
	return found
}

// parseRun reads "run `pwd`", "run `a` and `b`", "run pwd", and a fenced block.
// Backticks in the middle of a plain command could mean two things, so they are
// not understood.
func parseRun(text string) (found []command, rest string) {
	if m := fence().FindStringSubmatch(text); m != nil {
		return one("run", "terminal", strings.TrimSpace(m[2]), "command"), text[len(m[0]):]
	}
	for m := backticks().FindStringSubmatch(text); m != nil && len(found) < maxCommands; m = backticks().FindStringSubmatch(text) {
		found = append(found, one("run", "terminal", strings.TrimSpace(m[1]+m[2]), "command")...)
		text = text[len(m[0]):]
	}
	if len(found) > 0 {
		return found, text
	}
	line, below, _ := strings.Cut(text, "\n")
	if strings.Contains(line, "`") {
		return nil, text
	}
	return one("run", "terminal", strings.TrimSpace(line), "command"), below
}

// parseWrite reads "write FILE: text". The text is all that follows, or the
// fenced block that follows.
func parseWrite(text string) (found []command, rest string) {
	m := written().FindStringSubmatch(text)
	if m == nil {
		return nil, text
	}
	content := text[len(m[0]):]
	if block := fence().FindStringSubmatch(content); block != nil {
		content, rest = block[2]+"\n", content[len(block[0]):]
	} else {
		content = strings.TrimPrefix(content, "\n")
	}
	found = one("write", "write_file", plain(m[1]), "path")
	for i := range found {
		found[i].fields = append(found[i].fields, field{name: "content", value: content})
	}
	return found, rest
}

// parseReplace reads "replace A with B in FILE".
func parseReplace(text string) (found []command, rest string) {
	m := replace().FindStringSubmatch(text)
	if m == nil {
		return nil, text
	}
	file := plain(m[3])
	return []command{{verb: "replace", tool: "patch", label: file, fields: []field{
		{name: "mode", value: "replace", optional: true},
		{name: "path", value: file},
		{name: "old_string", value: bare(m[1])},
		{name: "new_string", value: bare(m[2])},
	}}}, text[len(m[0]):]
}

// firstWord is a file name at the beginning of a line: quoted, or as far as the
// first space.
func firstWord(line string) string {
	if line != "" && (line[0] == '`' || line[0] == '"') {
		if end := strings.IndexByte(line[1:], line[0]); end > 0 {
			return line[:end+2]
		}
	}
	word, _, _ := strings.Cut(line, " ")
	if trimmed := strings.TrimRight(word, ",;:!?"); trimmed != "" {
		return trimmed
	}
	return word
}

// bare takes the quotes or backticks off a text.
func bare(text string) string {
	if n := len(text); n > 1 && text[0] == text[n-1] && (text[0] == '`' || text[0] == '"') {
		return text[1 : n-1]
	}
	return text
}

// plain is bare without space around it.
func plain(text string) string { return strings.TrimSpace(bare(strings.TrimSpace(text))) }
