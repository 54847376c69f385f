package agent

import (
	"context"
	_ "embed"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

var (
	//go:embed identity.md
	defaultIdentity string
	//go:embed rules.md
	rules string
)

// longestDocument is how many characters of SOUL.md and of AGENTS.md go into
// the prompt. What is longer is cut in the middle.
const longestDocument = 20_000

// PromptOptions say what a prompt is made of. Files that are missing are left
// out.
type PromptOptions struct {
	// SoulPath is the file that says who the agent is. Without it, or when it
	// is empty, a short identity of our own is used.
	SoulPath string
	// OpenSoul opens it, where this process cannot reach the path; nil: it can. What was
	// read of it stays when it may not be opened any more.
	OpenSoul func() (*os.File, error)
	// WorkspacePath is the directory that tools work in. Its AGENTS.md holds
	// the instructions of the project there.
	WorkspacePath string
	// Skills and Memory return sections of the prompt, empty if there is nothing to
	// say: the index of the skills, and what is remembered. Nil leaves them out.
	Skills, Memory func() (string, error)
	// OS is the operating system that tools run on, by default this one.
	OS string
	// Now is the clock, by default time.Now. Only its date gets into the
	// prompt: a time of day would change the bytes of every request, and with
	// them lose what the upstream has cached.
	Now func() time.Time
	Log *slog.Logger
}

// Prompts keeps the prompt that each session began with, so that all of its turns
// have the same bytes, whatever changes meanwhile: memory, skills, files, the date.
type Prompts interface {
	// SessionPrompt returns the prompt of a session. The first call for it keeps
	// what fresh makes; when two come at once, both get the same.
	SessionPrompt(ctx context.Context, sessionID string, fresh func() string) (string, error)
}

// Prompt is the agent's system prompt. It goes from what never changes to what
// changes often, because an upstream caches the part that two requests have in
// common: identity, rules, environment, index of the skills, memory, project
// instructions, and last the instructions of the client. Its bytes stay the same
// until one of the files or the date changes; within a session not even then, see
// Prompts. It may be used by many goroutines at once.
type Prompt struct {
	os             string
	workspace      string
	now            func() time.Time
	skills, memory func() (string, error)
	log            *slog.Logger

	mu     sync.Mutex // guards what follows
	soul   document
	agents document
}

// NewPrompt makes a Prompt. It reads no file yet.
func NewPrompt(opts PromptOptions) *Prompt {
	if opts.OS == "" {
		opts.OS = runtime.GOOS
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	p := &Prompt{os: opts.OS, workspace: opts.WorkspacePath, now: opts.Now, skills: opts.Skills, memory: opts.Memory, log: opts.Log}
	if opts.SoulPath != "" {
		p.soul = document{dir: filepath.Dir(opts.SoulPath), name: filepath.Base(opts.SoulPath), log: opts.Log, open: opts.OpenSoul, keep: true}
		p.soul.read() // the file that is put in its place later may be closed to this process
	}
	if opts.WorkspacePath != "" {
		p.agents = document{dir: opts.WorkspacePath, name: "AGENTS.md", log: opts.Log}
	}
	return p
}

// Text returns the prompt with the client's own instructions, which may be
// empty, as its last part. The files are looked at, and read if they have
// changed.
func (p *Prompt) Text(client string) string { return withInstructions(p.own(), client) }

// own is the agent's own part of the prompt.
func (p *Prompt) own() string {
	p.mu.Lock()
	soul, agents := p.soul.read(), p.agents.read()
	p.mu.Unlock()
	if soul == "" {
		soul = strings.TrimSpace(defaultIdentity)
	}
	sections := []string{soul, strings.TrimSpace(rules), p.environment()}
	for _, part := range []struct {
		name string
		text func() (string, error)
	}{{"skills", p.skills}, {"memory", p.memory}} {
		if part.text == nil {
			continue
		}
		text, err := part.text()
		if err != nil { // the agent should answer without it
			p.log.Warn("part of the prompt left out", "part", part.name, "error", err)
		}
		if text != "" {
			sections = append(sections, text)
		}
	}
	if agents != "" {
		sections = append(sections, "# Project instructions\n\nFrom AGENTS.md in your workspace.\n\n"+agents)
	}
	return strings.Join(sections, "\n\n")
}

// withInstructions adds the client's own instructions. They are no part of what a
// session keeps: a client may send others with each request.
func withInstructions(prompt, client string) string {
	if client = strings.TrimSpace(client); client != "" {
		prompt += "\n\n# Instructions for this conversation\n\n" + client
	}
	return prompt
}

func (p *Prompt) environment() string {
	lines := []string{"# Environment", "", "- Operating system: " + p.os}
	if p.workspace != "" {
		lines = append(lines, "- Workspace: "+p.workspace)
	}
	lines = append(lines, "- Date: "+p.now().Format("Monday, 2006-01-02"))
	return strings.Join(lines, "\n")
}
