package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"hermes/configs"
	"hermes/profiles"
)

type configEditOptions struct {
	*app
}

func newConfigEditCmd(a *app) *cobra.Command {
	opts := &configEditOptions{app: a}
	return &cobra.Command{
		Use:   "edit",
		Short: "Open config.yaml in an editor and check it before it is kept",
		Long: `Open a copy of the profile's config.yaml in VISUAL, EDITOR or vi. It replaces the
file only when everything in it is right.`,
		Example: "  hermes config edit\n  EDITOR='code --wait' hermes -p alice config edit",
		Args:    words(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return configEditRun(cmd.Context(), opts) },
	}
}

func configEditRun(ctx context.Context, opts *configEditOptions) error {
	profile, err := opts.writable()
	if err != nil {
		return err
	}
	before, err := readIfThere(profile.ConfigFile())
	if err != nil {
		return err
	}
	draft, err := newDraft(profile, before)
	if err != nil {
		return err
	}
	defer draft.remove()
	for {
		if err := opts.editor(ctx, draft.config()); err != nil {
			return err
		}
		after, err := os.ReadFile(draft.config())
		if err != nil {
			return fmt.Errorf("read edited settings: %w", err)
		}
		if bytes.Equal(before, after) {
			opts.printf("%s: nothing was changed\n", profile.ConfigFile())
			return nil
		}
		err = draft.check(opts.app)
		if err == nil {
			return opts.keep(profile, before, after)
		}
		var problems *configs.Problems
		if !errors.As(err, &problems) {
			return err
		}
		opts.problems(problems)
		if again, err := opts.again(ctx); err != nil || !again {
			opts.errorf("nothing was written; %s is as it was", profile.ConfigFile())
			return cmp.Or(err, silent(exitConfig))
		}
	}
}

// keep replaces the file, unless somebody else has meanwhile.
func (opts *configEditOptions) keep(profile profiles.Profile, before, after []byte) error {
	now, err := readIfThere(profile.ConfigFile())
	if err != nil {
		return err
	}
	if !bytes.Equal(before, now) {
		return fmt.Errorf("%s was changed by something else while it was edited; nothing was written, edit it again", profile.ConfigFile())
	}
	if err := renameio.WriteFile(profile.ConfigFile(), after, 0o600, renameio.IgnoreUmask()); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	opts.printf("%s is written\n", profile.ConfigFile())
	opts.effect(profile, configs.Change{})
	return nil
}

// again asks whether to go back to the editor.
func (opts *configEditOptions) again(ctx context.Context) (bool, error) {
	if !opts.interactive() {
		return false, nil
	}
	opts.eprintf("Edit again? [Y/n] ")
	answer, err := opts.readLine(ctx)
	if errors.Is(err, errNoAnswer) {
		return false, nil
	}
	return answer == "" || strings.HasPrefix(strings.ToLower(answer), "y"), err
}

// editor opens file in the person's editor and waits until it is closed. VISUAL
// and EDITOR are command lines, as everywhere.
func (a *app) editor(ctx context.Context, file string) error {
	editor := cmp.Or(a.getenv("VISUAL"), a.getenv("EDITOR"), "vi")
	cmd := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "hermes", file)
	cmd.Env = a.environ
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.rawOut(), a.err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the editor %q ended with an error (%w); nothing was written", editor, err)
	}
	return nil
}

// draft is a directory of its own with copies of a profile's settings.
type draft struct {
	profile profiles.Profile
	copy    profiles.Profile
}

func newDraft(profile profiles.Profile, config []byte) (draft, error) {
	dir, err := os.MkdirTemp("", "hermes-edit-")
	if err != nil {
		return draft{}, fmt.Errorf("copy settings: %w", err)
	}
	d := draft{profile: profile, copy: profiles.Profile{Name: profile.Name, Dir: dir}}
	err = os.WriteFile(d.config(), config, 0o600)
	if err == nil {
		var env []byte
		if env, err = readIfThere(profile.EnvFile()); err == nil {
			err = os.WriteFile(d.copy.EnvFile(), env, 0o600)
		}
	}
	if err != nil {
		d.remove()
		return draft{}, fmt.Errorf("copy settings: %w", err)
	}
	return d, nil
}

func (d draft) config() string { return d.copy.ConfigFile() }

func (d draft) remove() { _ = os.RemoveAll(d.copy.Dir) }

// check reads the draft as a gateway would read the profile. What is wrong is
// told with the names of the real files.
func (d draft) check(a *app) error {
	target := d.profile.Target(a.environ)
	_, err := configs.Load(configs.Sources{Profile: target.Profile, Dir: d.copy.Dir, HomeDir: target.HomeDir, Environ: target.Environ})
	var problems *configs.Problems
	if !errors.As(err, &problems) {
		return err
	}
	for i, p := range problems.List {
		if rel, err := filepath.Rel(d.copy.Dir, p.File); err == nil && filepath.IsLocal(rel) {
			problems.List[i].File = filepath.Join(d.profile.Dir, rel)
		}
	}
	return problems
}

// readIfThere returns the file's content, and nothing if there is no file.
func readIfThere(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return data, nil
}
