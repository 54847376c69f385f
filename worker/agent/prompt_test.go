package agent_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hermes/worker/agent"
)

// promptIn makes a prompt of a profile whose files are in the returned
// directory: SOUL.md, and workspace/AGENTS.md.
func promptIn(t *testing.T) (*agent.Prompt, string, *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "workspace"), 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	return agent.NewPrompt(agent.PromptOptions{
		SoulPath:      filepath.Join(dir, "SOUL.md"),
		WorkspacePath: filepath.Join(dir, "workspace"),
		OS:            "linux",
		Skills:        section(filepath.Join(dir, "index")),
		Memory:        section(filepath.Join(dir, "memory")),
		Now:           func() time.Time { return time.Date(2026, 11, 23, 4, 5, 6, 7, time.UTC) },
		Log:           slog.New(slog.NewTextHandler(&log, nil)),
	}), dir, &log
}

// section makes a part of the prompt of a file, if there is one.
func section(path string) func() (string, error) {
	return func() (string, error) {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		return string(text), err
	}
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// inOrder fails unless the parts follow each other in the text.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	at := 0
	for _, part := range parts {
		i := strings.Index(text[at:], part)
		if i < 0 {
			t.Errorf("%q is missing, or not in its place, in\n%s", part, text)
			return
		}
		at += i + len(part)
	}
}

func TestPromptGoesFromStableToVolatile(t *testing.T) {
	t.Parallel()
	prompt, dir, log := promptIn(t)
	write(t, "You are Marvin.\n", dir, "SOUL.md")
	write(t, "Use tabs.\n", dir, "workspace", "AGENTS.md")
	write(t, "# Skills", dir, "index")
	write(t, "# Memory", dir, "memory")
	text := prompt.Text("Speak like a pirate.")
	inOrder(t, text,
		"You are Marvin.\n\n# How you work\n",
		"\n\n# Environment\n\n- Operating system: linux\n- Workspace: "+filepath.Join(dir, "workspace")+"\n- Date: Monday, 2026-11-23\n\n# Skills\n\n# Memory\n\n",
		"# Project instructions\n", "Use tabs.\n\n",
		"# Instructions for this conversation\n\nSpeak like a pirate.",
	)
	if strings.Contains(text, "Hermes") {
		t.Error("the built-in identity is there beside SOUL.md")
	}
	if strings.Contains(text, "04:05") {
		t.Error("the prompt tells the time of day")
	}
	if log.Len() > 0 {
		t.Errorf("log: %s", log)
	}
}

func TestPromptLeavesOutWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	prompt, dir, log := promptIn(t)
	if err := os.Mkdir(filepath.Join(dir, "memory"), 0o700); err != nil {
		t.Fatal(err)
	}
	inOrder(t, prompt.Text(""), "You are Hermes", "# Environment")
	if !strings.Contains(log.String(), "part=memory") {
		t.Errorf("log: %s", log)
	}
}

func TestPromptWithoutFilesIsShort(t *testing.T) {
	t.Parallel()
	prompt, _, log := promptIn(t)
	text := prompt.Text("")
	inOrder(t, text, "You are Hermes", "# How you work", "# Environment")
	if strings.Contains(text, "# Project") || strings.Contains(text, "# Instructions") {
		t.Errorf("the prompt has headings without anything below them:\n%s", text)
	}
	if tokens := len(text) / 4; tokens >= 2000 {
		t.Errorf("the prompt is about %d tokens long, want less than 2,000", tokens)
	}
	if log.Len() > 0 {
		t.Errorf("missing files were logged: %s", log)
	}
}

func TestPromptKeepsItsBytes(t *testing.T) {
	t.Parallel()
	prompt, dir, _ := promptIn(t)
	agents := filepath.Join(dir, "workspace", "AGENTS.md")
	write(t, "Rule 1.", agents)
	first := prompt.Text("x")
	if second := prompt.Text("x"); second != first {
		t.Error("the same prompt has other bytes the second time")
	}

	write(t, "Rule 2.", agents)
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(agents, later, later); err != nil {
		t.Fatal(err)
	}
	if changed := prompt.Text("x"); changed != strings.Replace(first, "Rule 1.", "Rule 2.", 1) {
		t.Errorf("a change of AGENTS.md did not arrive, or not alone:\n%s", changed)
	}
	if err := os.Remove(agents); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(prompt.Text("x"), "Rule") {
		t.Error("AGENTS.md is gone, but not from the prompt")
	}
}

func TestPromptCutsLongFilesInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, size := range []int{20_001, 90_000, 500_000} {
		prompt, dir, _ := promptIn(t)
		write(t, "HEAD"+strings.Repeat("é", size-8)+"TAIL", dir, "workspace", "AGENTS.md")
		text := prompt.Text("")
		inOrder(t, text, "HEAD", "[The middle of AGENTS.md is left out here.", "TAIL")
		if head, tail := strings.Count(text[:strings.Index(text, "[The middle")], "é"), strings.Count(text[strings.Index(text, "[The middle"):], "é"); head != 14_000-4 || tail != 4_000-4 {
			t.Errorf("of %d characters %d and %d were kept, want 14,000 and 4,000", size, head+4, tail+4)
		}
		if strings.Contains(text, "\uFFFD") {
			t.Error("a character was cut in two")
		}
	}
	prompt, dir, _ := promptIn(t)
	write(t, strings.Repeat("é", 20_000), dir, "workspace", "AGENTS.md")
	if strings.Contains(prompt.Text(""), "left out") {
		t.Error("20,000 characters were cut")
	}
}

func TestPromptReadsNothingElse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		place func(t *testing.T, agents string)
		said  string // in the log
	}{
		{"a link out of the workspace", func(t *testing.T, agents string) {
			t.Helper()
			if err := os.Symlink("../secret", agents); err != nil {
				t.Fatal(err)
			}
		}, "escapes"},
		{"an absolute link", func(t *testing.T, agents string) {
			t.Helper()
			if err := os.Symlink(filepath.Join(filepath.Dir(filepath.Dir(agents)), "secret"), agents); err != nil {
				t.Fatal(err)
			}
		}, "escapes"},
		{"a directory", func(t *testing.T, agents string) {
			t.Helper()
			if err := os.Mkdir(agents, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "no regular file"},
		{"a pipe", func(t *testing.T, agents string) {
			t.Helper()
			if err := syscall.Mkfifo(agents, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "no regular file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			prompt, dir, log := promptIn(t)
			write(t, "SECRET", dir, "secret")
			test.place(t, filepath.Join(dir, "workspace", "AGENTS.md"))
			for range 2 {
				if text := prompt.Text(""); strings.Contains(text, "SECRET") || strings.Contains(text, "# Project") {
					t.Errorf("the prompt holds what it should not:\n%s", text)
				}
			}
			if got := log.String(); strings.Count(got, "prompt file left out") != 1 || !strings.Contains(got, test.said) {
				t.Errorf("the log does not tell once why AGENTS.md is left out:\n%s", got)
			}
		})
	}
}

func TestPromptFollowsALinkInsideTheWorkspace(t *testing.T) {
	t.Parallel()
	prompt, dir, _ := promptIn(t)
	write(t, "Use tabs.", dir, "workspace", "CLAUDE.md")
	if err := os.Symlink("CLAUDE.md", filepath.Join(dir, "workspace", "AGENTS.md")); err != nil {
		t.Fatal(err)
	}
	inOrder(t, prompt.Text(""), "Use tabs.")
}

// Every request carries it.
func TestBasePromptIsShort(t *testing.T) {
	t.Parallel()
	prompt, _, _ := promptIn(t)
	if tokens := len(prompt.Text("")) / 4; tokens > 2000 {
		t.Errorf("the prompt takes %d tokens of each request, more than 2000", tokens)
	}
}
