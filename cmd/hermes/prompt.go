package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor"
	"hermes/worker"
)

type promptOptions struct {
	*app
	json bool
}

func newPromptCmd(a *app) *cobra.Command {
	opts := &promptOptions{app: a}
	cmd := &cobra.Command{
		Use:   "prompt",
		Short: "Show what the model is sent before anybody has said a word",
		Long: `Show the system prompt and the schemas of the tools that a new conversation
begins with, and about how many tokens each of them takes (bytes divided by 4).`,
		Example: "  hermes prompt\n  hermes -p alice prompt --json",
		Args:    words(),
		RunE:    func(*cobra.Command, []string) error { return promptRun(opts) },
	}
	cmd.Flags().BoolVar(&opts.json, "json", false, "print JSON")
	return cmd
}

// promptOf puts a profile's prompt together.
func promptOf(profile profiles.Profile, loaded configs.Loaded) (worker.Prompt, error) {
	prompt, err := worker.NewPrompt(supervisor.StartOf(profile, loaded))
	if err != nil {
		return prompt, fmt.Errorf("put prompt together: %w", err)
	}
	return prompt, nil
}

func promptRun(opts *promptOptions) error {
	profile, err := opts.profile()
	if err != nil {
		return err
	}
	loaded, err := opts.load(profile)
	if err != nil {
		return err
	}
	prompt, err := promptOf(profile, loaded)
	if err != nil {
		return err
	}
	system, tools := prompt.SystemTokens(), prompt.ToolsTokens()
	if opts.json {
		return opts.printJSON(struct {
			worker.Prompt
			SystemTokens int `json:"system_tokens"`
			ToolsTokens  int `json:"tools_tokens"`
			Tokens       int `json:"tokens"`
		}{prompt, system, tools, system + tools})
	}
	opts.printf("%s\n", printable(prompt.System))
	t := &table{header: []string{"PART", "TOKENS"}}
	t.add(cells("system prompt", strconv.Itoa(system))...)
	for _, tool := range prompt.Tools {
		opts.printf("\n## %s\n\n%s\n\n%s\n", tool.Name, printable(tool.Description), printable(string(tool.Parameters)))
		t.add(cells(tool.Name, strconv.Itoa(worker.ToolTokens(tool)))...)
	}
	t.add(cells("all tools", strconv.Itoa(tools))...)
	t.add(cells("sum", strconv.Itoa(system+tools))...)
	opts.printf("\n")
	opts.printTable(t)
	return nil
}
