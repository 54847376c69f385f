package profiles

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"hermes/configs"
)

// CreateOptions is what a new profile is made from.
type CreateOptions struct {
	Name Name
	// CloneFrom is the profile whose config.yaml, provider keys, SOUL.md, skills and
	// memories are copied; "" copies none.
	CloneFrom Name
	// Port is the port to take; 0 takes the next free one.
	Port int
	// Disabled makes a profile that is not served yet.
	Disabled bool
	// NoKey makes a profile without an API key, for programs on this machine.
	NoKey bool
}

// Created is a new profile, with what is to be shown once.
type Created struct {
	Profile Profile
	Key     configs.Secret // empty with NoKey
	Port    int
	// Existed says, after Setup, that there were settings before; they were
	// completed and not changed.
	Existed bool
	// Skipped lists what a clone left out because it is no plain file: symbolic
	// links, sockets and the like, as paths in the old profile.
	Skipped []string
}

// Create makes a profile: built in a staging directory and published by one
// rename, under the home's lock, so that two at the same time never get the same
// port and nobody sees half of one. The error is a *NameError, *Exists or
// *NotFound, or says in a sentence what is wrong with port or clone.
func (h Home) Create(ctx context.Context, opts CreateOptions) (Created, error) {
	if opts.Name == Default {
		return Created{}, &NameError{string(Default), "it is the home itself; set it up with: hermes setup"}
	}
	if err := opts.Name.check(); err != nil {
		return Created{}, err
	}
	unlock, err := h.lock(ctx)
	if err != nil {
		return Created{}, err
	}
	defer unlock()
	if err := h.sweep(); err != nil {
		return Created{}, err
	}
	return h.create(ctx, opts)
}

// create is Create under the lock.
func (h Home) create(ctx context.Context, opts CreateOptions) (Created, error) {
	p := h.profile(opts.Name)
	if _, err := os.Lstat(p.Dir); !errors.Is(err, fs.ErrNotExist) {
		return Created{}, &Exists{opts.Name}
	}
	from, err := h.source(opts.CloneFrom)
	if err != nil {
		return Created{}, err
	}
	created := Created{Profile: p}
	if created.Port, err = h.choosePort(ctx, opts.Port, firstPort, opts.Name); err != nil {
		return Created{}, err
	}
	if !opts.NoKey {
		created.Key = newKey()
	}
	staging := Profile{Name: opts.Name, Dir: h.unfinished(stagingPrefix, opts.Name)}
	defer func() { _ = removeAll(staging.Dir) }() // nothing is there after the rename
	env := configs.EnvOptions{Enabled: !opts.Disabled, Port: created.Port, Key: created.Key, Secrets: from.keys}
	if err := stage(staging, from.config, from.soul, env); err != nil {
		return Created{}, fmt.Errorf("create profile %s: %w", opts.Name, err)
	}
	if created.Skipped, err = from.copyTrees(ctx, staging); err != nil {
		return Created{}, fmt.Errorf("create profile %s: %w", opts.Name, err)
	}
	if ctx.Err() != nil {
		return Created{}, fmt.Errorf("create profile %s: %w", opts.Name, context.Cause(ctx))
	}
	if err := os.Rename(staging.Dir, p.Dir); err != nil {
		return Created{}, fmt.Errorf("create profile %s: %w", opts.Name, err)
	}
	if err := syncDir(h.ProfilesDir()); err != nil {
		return Created{}, fmt.Errorf("create profile %s: %w", opts.Name, err)
	}
	return created, nil
}

// newKey makes an API key of 256 random bits. The prefix lets scanners for
// leaked secrets know it.
func newKey() configs.Secret {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	return configs.NewSecret("hk-" + base64.RawURLEncoding.EncodeToString(random[:]))
}
