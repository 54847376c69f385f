package profiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"hermes/configs"
)

// SetupOptions is what the default profile is made from.
type SetupOptions struct {
	// Port is the port to take; 0 takes 8642 or, if that is not free, the next
	// free one.
	Port int
	// NoKey makes no API key.
	NoKey bool
}

// Setup makes the default profile: enabled, with a port and a key. What is set
// already stays as it is, so it may be run again.
func (h Home) Setup(ctx context.Context, opts SetupOptions) (Created, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return Created{}, err
	}
	defer unlock()
	p := h.profile(Default)
	created := Created{Profile: p, Existed: p.SetUp()}
	if err := p.Prepare(); err != nil {
		return Created{}, err
	}
	for path, template := range map[string][]byte{p.ConfigFile(): configs.ConfigTemplate(), p.Soul(): configs.SoulTemplate()} {
		if err := create(path, template); err != nil && !errors.Is(err, fs.ErrExist) {
			return Created{}, fmt.Errorf("set up: %w", err)
		}
	}
	if _, err := os.Lstat(p.EnvFile()); errors.Is(err, fs.ErrNotExist) && !created.Existed {
		return h.setupFresh(ctx, opts, created)
	}
	return h.complete(ctx, opts, created)
}

// setupFresh writes the first .env.
func (h Home) setupFresh(ctx context.Context, opts SetupOptions, created Created) (Created, error) {
	var err error
	if created.Port, err = h.choosePort(ctx, opts.Port, configs.DefaultPort, Default); err != nil {
		return Created{}, err
	}
	if !opts.NoKey {
		created.Key = newKey()
	}
	env := configs.EnvOptions{Enabled: true, Port: created.Port, Key: created.Key}
	if err := publish(created.Profile.EnvFile(), configs.EnvTemplate(env)); err != nil {
		return Created{}, fmt.Errorf("set up: %w", err)
	}
	return created, nil
}

// complete sets what an existing default profile lacks.
func (h Home) complete(ctx context.Context, opts SetupOptions, created Created) (Created, error) {
	p := created.Profile
	loaded, err := p.Load(nil, nil)
	if err != nil {
		return Created{}, err
	}
	server := loaded.Config.APIServer
	created.Port, created.Key = server.Port, server.Key
	set := func(key, value string) error {
		_, err := configs.Set(p.Target(nil), key, value)
		return err
	}
	if opts.Port != 0 && opts.Port != server.Port {
		if created.Port, err = h.choosePort(ctx, opts.Port, 0, Default); err != nil {
			return Created{}, err
		}
		if err := set("API_SERVER_PORT", strconv.Itoa(created.Port)); err != nil {
			return Created{}, err
		}
	}
	if server.Key.IsZero() && !opts.NoKey {
		created.Key = newKey()
		if err := set("API_SERVER_KEY", created.Key.Reveal()); err != nil {
			return Created{}, err
		}
	}
	if !server.Enabled {
		if err := set("API_SERVER_ENABLED", "true"); err != nil {
			return Created{}, err
		}
	}
	return created, nil
}
