package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"hermes/profiles"
	"hermes/supervisor"
)

const (
	// statusLimit is how long a running gateway has to say how it stands.
	statusLimit = 3 * time.Second
	// stateHung is said of the profiles of a gateway that does not say how it stands.
	stateHung supervisor.State = "not answering"
)

// running is a gateway that takes connections, and what it said of itself.
type running struct {
	client *supervisor.Client
	supervisor.Status
	// hung says what is the matter with a gateway that does not answer, and how to
	// end it. Its status is what can be known without it.
	hung error
}

// gateways asks every running gateway of the home how it stands. One that does
// not answer is in the list too.
func (a *app) gateways(ctx context.Context, home profiles.Home) ([]running, error) {
	clients, err := supervisor.Gateways(ctx, home)
	if err != nil {
		return nil, err
	}
	list := make([]running, len(clients))
	var wg sync.WaitGroup
	for i, client := range clients {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, statusLimit)
			defer cancel()
			status, err := client.Status(ctx)
			list[i] = running{client: client, Status: status, hung: err}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for i := range list {
		if list[i].hung != nil {
			if list[i], err = a.presume(home, list, list[i].client); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// presume puts together what can be known of a gateway that does not answer: the
// locks of the profiles tell its pid and what it serves.
func (a *app) presume(home profiles.Home, list []running, client *supervisor.Client) (running, error) {
	gateway := running{client: client, Status: supervisor.Status{Home: home.Dir(), Mode: client.Name(), Profiles: []supervisor.ProfileStatus{}}}
	all, err := home.List()
	if err != nil {
		return gateway, err
	}
	var held []profiles.Name
	for _, profile := range all {
		pid, served := profile.Holder()
		answers := slices.ContainsFunc(list, func(other running) bool { return other.hung == nil && other.PID == pid })
		own := client.Name() == string(profile.Name)
		if client.Name() == supervisor.ModeAll { // what no other gateway holds
			own = !slices.ContainsFunc(list, func(other running) bool { return other.client.Name() == string(profile.Name) })
		}
		if served && !answers && own {
			gateway.PID = cmp.Or(gateway.PID, pid)
			held = append(held, profile.Name)
		}
	}
	next := "end it, and its pid is in what this prints: ps -C hermes"
	if gateway.PID != 0 {
		next = "end it with: kill -KILL " + strconv.Itoa(gateway.PID)
	}
	gateway.hung = fmt.Errorf("the gateway of %s does not answer within %s; %s", client.Name(), statusLimit, next)
	for _, name := range held {
		gateway.Profiles = append(gateway.Profiles, supervisor.ProfileStatus{Name: string(name), State: stateHung, Reason: gateway.hung.Error()})
	}
	return gateway, nil
}

// warnHung says which of the gateways do not answer.
func (a *app) warnHung(list []running) {
	for _, gateway := range list {
		if gateway.hung != nil {
			a.errorf("%s", oneLine(gateway.hung))
		}
	}
}

// gatewayForAll returns the running gateway that serves every enabled profile.
func (a *app) gatewayForAll(ctx context.Context, home profiles.Home) (running, bool) {
	list, err := a.gateways(ctx, home)
	if err != nil {
		return running{}, false // a hint is not worth an error
	}
	for _, gateway := range list {
		if gateway.Mode == supervisor.ModeAll && gateway.hung == nil {
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
