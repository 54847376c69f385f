package main

import (
	"context"
	"fmt"

	"hermes/profiles"
	"hermes/supervisor"
)

// running is a gateway that answers, and what it said of itself.
type running struct {
	client *supervisor.Client
	supervisor.Status
}

// gateways asks every running gateway of the home how it stands.
func (a *app) gateways(ctx context.Context, home profiles.Home) ([]running, error) {
	clients, err := supervisor.Gateways(ctx, home)
	if err != nil {
		return nil, err
	}
	var list []running
	for _, client := range clients {
		status, err := client.Status(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask the gateway of %s: %w", client.Name(), err)
		}
		list = append(list, running{client, status})
	}
	return list, nil
}

// gatewayForAll returns the running gateway that serves every enabled profile.
func (a *app) gatewayForAll(ctx context.Context, home profiles.Home) (running, bool) {
	list, err := a.gateways(ctx, home)
	if err != nil {
		return running{}, false // a hint is not worth an error
	}
	for _, gateway := range list {
		if gateway.Mode == supervisor.ModeAll {
			return gateway, true
		}
	}
	return running{}, false
}

// states finds each profile's service in the gateways that run.
func states(gateways []running) map[profiles.Name]supervisor.ProfileStatus {
	found := map[profiles.Name]supervisor.ProfileStatus{}
	for _, gateway := range gateways {
		for _, status := range gateway.Profiles {
			name := profiles.Name(status.Name)
			// Two gateways may name one profile; the one with a worker serves it.
			if other, ok := found[name]; !ok || other.PID == 0 {
				found[name] = status
			}
		}
	}
	return found
}
