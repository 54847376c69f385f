package profiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"hermes/configs"
)

const (
	// firstPort is the first port that named profiles are given.
	firstPort = configs.DefaultPort + 1
	// lastPort is the last one. From 32768 on Linux takes the ports of outgoing
	// connections (net.ipv4.ip_local_port_range), which collide with listeners.
	lastPort = 32767
	maxPort  = 65535
)

// PortUser returns the profile whose settings name the port, other than the one
// excepted. It reads files leniently: the port of a profile that is switched off
// or broken is taken too.
func (h Home) PortUser(port int, except Name) (Name, bool) {
	name, used := h.usedPorts(except)[port]
	return name, used
}

// usedPorts maps ports to the profiles whose settings name them.
func (h Home) usedPorts(except Name) map[int]Name {
	used := map[int]Name{}
	claim := func(p Profile) {
		if p.Name == except {
			return
		}
		ports := configs.ClaimedPorts(peek(p.EnvFile()), peek(p.ConfigFile()))
		if len(ports) == 0 {
			ports = []int{configs.DefaultPort}
		}
		for _, port := range ports {
			if _, taken := used[port]; !taken {
				used[port] = p.Name
			}
		}
	}
	if p := h.profile(Default); p.SetUp() {
		claim(p)
	}
	entries, err := os.ReadDir(h.ProfilesDir())
	if err != nil {
		return used
	}
	for _, entry := range entries {
		if name, err := ParseName(entry.Name()); err == nil && entry.IsDir() {
			claim(h.profile(name))
		}
	}
	return used
}

// peek reads what can be read of a settings file.
func peek(path string) []byte {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	data, _ := io.ReadAll(io.LimitReader(f, 1<<20))
	return data
}

// choosePort checks the port that was asked for, or finds the next free one from
// first on when that is 0.
func (h Home) choosePort(ctx context.Context, asked, first int, except Name) (int, error) {
	used := h.usedPorts(except)
	if asked != 0 {
		return asked, h.checkPort(ctx, asked, used)
	}
	for port := first; port <= lastPort; port++ {
		if _, taken := used[port]; taken {
			continue
		}
		if err := ctx.Err(); err != nil {
			return 0, context.Cause(ctx)
		}
		if h.bindable(ctx, port) == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port from %d to %d is free; choose one with --port", first, lastPort)
}

func (h Home) checkPort(ctx context.Context, port int, used map[int]Name) error {
	if port < 1 || port > maxPort {
		return fmt.Errorf("port %d is out of range; use 1 to %d", port, maxPort)
	}
	if name, taken := used[port]; taken {
		return fmt.Errorf("port %d belongs to profile %s; choose another one, or leave --port out", port, name)
	}
	err := h.bindable(ctx, port)
	switch {
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("port %d needs rights that you do not have; choose one above 1023", port)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("port %d is used by another program on this machine; choose another one, or leave --port out", port)
	case err != nil:
		return fmt.Errorf("port %d cannot be used: %w", port, err)
	}
	return nil
}

// bindable reports why a port cannot be bound, on loopback and on all addresses.
func (h Home) bindable(ctx context.Context, port int) error {
	if h.free != nil {
		return h.free(port)
	}
	var config net.ListenConfig
	for _, host := range []string{"127.0.0.1", "0.0.0.0"} {
		listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return err
		}
		if err := listener.Close(); err != nil {
			return err
		}
	}
	return nil
}
