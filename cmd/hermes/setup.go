package main

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"hermes/configs"
	"hermes/profiles"
	"hermes/worker/llm/detect"
)

const (
	openaiURL   = "https://api.openai.com/v1"
	openaiModel = "gpt-5-mini"
	// setupTries is how often a person may answer a question wrongly.
	setupTries = 3
	// setupModels is how many models are named as examples.
	setupModels = 5
)

type setupOptions struct {
	*app
	yes bool
}

func newSetupCmd(a *app) *cobra.Command {
	opts := &setupOptions{app: a}
	cmd := &cobra.Command{
		Use:   "setup",
		Short: "First use: make the default profile and find a model",
		Long: `Make the default profile with a key, look for a model, and say what to do next.
The model is what the settings name, else a provider whose key is set, else a
server on this machine (Ollama, llama.cpp, LM Studio, vLLM), else one that you are
asked for. Without any, the built-in demo model answers and says so.

Running it again changes nothing that is there.`,
		Example: "  hermes setup\n  hermes setup --yes",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return setupRun(cmd.Context(), opts) },
	}
	cmd.Flags().BoolVarP(&opts.yes, "yes", "y", false, "ask nothing")
	return cmd
}

func setupRun(ctx context.Context, opts *setupOptions) error {
	if opts.profileFlag != "" {
		return usagef("setup is about the default profile; make another one with: %s", opts.command("profile", "create", opts.profileFlag))
	}
	home, err := opts.home()
	if err != nil {
		return err
	}
	before, err := opts.before(home)
	if err != nil {
		return err
	}
	created, err := home.Setup(ctx, profiles.SetupOptions{})
	if err != nil {
		return err
	}
	loaded, err := opts.load(created.Profile)
	if err != nil {
		return err
	}
	server := loaded.Config.APIServer
	if !before.Key.IsZero() {
		created.Key = configs.Secret{} // it was shown when it was made
	}
	switch {
	case !created.Existed:
		opts.printf("The default profile is made: %s\n\n", home.Dir())
		opts.printConnection(created, server)
	case before.Key.IsZero() || !before.Enabled:
		opts.printf("The default profile was there already, without all that it needs: %s\n\n", home.Dir())
		opts.printConnection(created, server)
	default:
		opts.printf("The default profile is there already, and was left as it is: %s\n", home.Dir())
		opts.printf("It is enabled, has a key, and is served on %s as the model %s.\n", baseURL(server), server.ModelName)
	}
	opts.printf("\n")
	if err := opts.model(ctx, created.Profile, loaded); err != nil {
		return err
	}
	opts.printf("\nNext:\n")
	opts.nextSteps(ctx, home, profiles.Default, !server.Enabled)
	return nil
}

// before is how the default profile was served before this command.
func (opts *setupOptions) before(home profiles.Home) (configs.APIServer, error) {
	profile, err := home.Get(profiles.Default)
	if err != nil {
		return configs.APIServer{}, err
	}
	loaded, err := profile.Load(nil, nil)
	return loaded.Config.APIServer, err
}

// model says which model answers, after asking for one if none is found.
func (opts *setupOptions) model(ctx context.Context, profile profiles.Profile, loaded configs.Loaded) error {
	up := loaded.Upstreams()[0]
	if up.Provider != configs.Auto {
		opts.printf("Model: %s (%s)\n", upstreamText(up), up.Source)
		return nil
	}
	end := opts.progress(ctx, func() string { return "looking for a model server on this machine" })
	found, ok, err := detect.Local(ctx, detect.Options{})
	end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && ok {
		opts.printf("Model: %s, served by %s on this machine (%s). Nothing needs to be set.\n", printable(found.Model), found.Name, found.BaseURL)
		return nil
	}
	if opts.yes || !opts.interactive() {
		opts.demo()
		return nil
	}
	return opts.ask(ctx, profile)
}

// demo says that there is no model, and how to get one.
func (opts *setupOptions) demo() {
	opts.printf("Model: none was found, so the built-in demo model answers. It is no language model:\n")
	opts.printf("it runs plain commands like \"run `pwd`\" and says so. Configure one with:\n")
	opts.printf("  %s\n  %s\n", opts.command("config", "set", "OPENAI_API_KEY", "KEY"), opts.command("config", "set", "model.default", openaiModel))
	opts.printf("or, for any other OpenAI-compatible server, its address:\n  %s\n", opts.command("config", "set", "model.base_url", "URL"))
}

// ask asks for a model, tries it, and writes it down.
func (opts *setupOptions) ask(ctx context.Context, profile profiles.Profile) error {
	opts.eprintf("No model was found. Any server that speaks the OpenAI API will do.\n")
	for range setupTries {
		opts.eprintf("Its base URL, such as %s (empty: go on with the demo model): ", openaiURL)
		url, err := opts.readLine(ctx)
		if errors.Is(err, errNoAnswer) || err == nil && url == "" {
			opts.demo()
			return nil
		}
		if err != nil {
			return err
		}
		up := configs.Upstream{BaseURL: strings.TrimRight(url, "/")}
		opts.eprintf("Its API key (it is not shown; empty: none): ")
		key, err := opts.readSecret(ctx)
		if err != nil && !errors.Is(err, errNoAnswer) {
			return err
		}
		up.APIKey = configs.NewSecret(key)
		end := opts.progress(ctx, func() string { return "asking " + up.BaseURL + " for its models" })
		models, err := listModels(ctx, up)
		end()
		if err != nil && !errors.Is(err, errNoList) {
			opts.errorf("%s: %s", up.BaseURL, oneLine(err))
			continue
		}
		if up.Model, err = opts.askModel(ctx, models); err != nil {
			return err
		}
		return opts.write(profile, up)
	}
	opts.demo()
	return nil
}

// askModel asks which of the models to use.
func (opts *setupOptions) askModel(ctx context.Context, models []string) (string, error) {
	proposed := ""
	switch {
	case slices.Contains(models, openaiModel):
		proposed = openaiModel
	case len(models) > 0:
		proposed = models[0]
	}
	if len(models) > 0 {
		opts.eprintf("It serves %d models: %s\n", len(models), printable(strings.Join(models[:min(len(models), setupModels)], ", ")))
	}
	for range setupTries {
		opts.eprintf("Model")
		if proposed != "" {
			opts.eprintf(" (empty: %s)", printable(proposed))
		}
		opts.eprintf(": ")
		model, err := opts.readLine(ctx)
		if err != nil {
			return "", err
		}
		model = cmp.Or(model, proposed)
		switch {
		case model == "":
		case len(models) > 0 && !slices.Contains(models, model):
			opts.errorf("the server has no model %q", model)
		default:
			return model, nil
		}
	}
	return "", errors.New("no model was chosen; run this again, or: " + opts.command("config", "set", "model.default", "MODEL"))
}

// write keeps the answers as the settings that all profiles share.
func (opts *setupOptions) write(profile profiles.Profile, up configs.Upstream) error {
	set := func(key, value string) error {
		change, err := configs.Set(profile.Target(opts.environ), key, value)
		if err == nil {
			opts.printf("%s: %s is set\n", change.File, change.Key)
		}
		return err
	}
	if err := set("model.base_url", up.BaseURL); err != nil {
		return err
	}
	if !up.APIKey.IsZero() {
		// The address decides which variable the key is looked for in.
		loaded, err := opts.load(profile)
		if err != nil {
			return err
		}
		if err := set(loaded.Upstreams()[0].KeyEnv, up.APIKey.Reveal()); err != nil {
			return err
		}
	}
	if err := set("model.default", up.Model); err != nil {
		return err
	}
	opts.printf("Model: %s at %s, for every profile that names no other.\n", up.Model, up.BaseURL)
	return nil
}
