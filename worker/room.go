package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox/wall"
	"hermes/worker/tools"
)

// enterRoom puts this process behind the wall that the supervisor has found that it
// can have, before it has done anything for anybody. It does nothing if there is none.
func enterRoom(opts Options) (*wall.Shim, error) {
	level := wall.Level(opts.Start.Isolation.Room)
	if level == "" {
		return nil, nil //nolint:nilnil // a worker without a wall has no shim
	}
	if level == wall.None {
		if err := wall.Become(userOf(opts.Start.Isolation), opts.Start.Paths.Profile); err != nil {
			return nil, err
		}
		return nil, nil //nolint:nilnil // see above
	}
	room := roomOf(opts.Start, opts.Exe, os.Environ())
	room.Tree, room.Run = opts.Child.Mounts()
	shim, socket, err := wall.Enter(room)
	if err != nil {
		return nil, fmt.Errorf("the wall around this worker cannot be built, and it does not go on without: %w", err)
	}
	if socket != nil {
		opts.Child.WaitBy(socket)
	}
	return shim, nil
}

// roomOf is what a worker sees: what is its profile's, and what its commands and MCP
// servers are to see.
func roomOf(start handoff.Start, exe string, environ []string) wall.RoomOptions {
	paths, resources := start.Paths, start.Resources
	level := wall.Level(start.Isolation.Room)
	room := wall.RoomOptions{
		Level: level, Dir: paths.Profile, Hidden: start.Isolation.Hidden,
		Offline: start.Egress && (level.Spaces() || start.Isolation.Network == "none"),
		Reads:   given(resources.MemoryEvents, resources.ProcessesEvents),
		Writes:  given(filepath.Dir(paths.Database), paths.Memories, paths.Skills, paths.Workspace, paths.Home),
		Soul:    paths.Soul, Socket: start.Orphan.Socket, As: userOf(start.Isolation),
	}
	if room.Level == wall.Reduced {
		room.Reads = append(room.Reads, given(paths.Soul)...)
		room.MayRead = given(exe) // what reads PDF documents; in a room of its own it is known by another name
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR"} {
		room.MayRead = append(room.MayRead, given(variable(environ, name))...)
	}
	for _, server := range mcpConfigs(start) {
		reads, writes := server.Places(paths.Workspace, tools.Environment(environ, paths.Home))
		room.MayRead, room.MayWrite = append(room.MayRead, reads...), append(room.MayWrite, writes...)
	}
	return room
}

// userOf is whom the worker has to become.
func userOf(i handoff.Isolation) wall.Identity { return wall.Identity{UID: i.User, GID: i.Group} }

// given leaves out what is empty.
func given(paths ...string) []string {
	return slices.DeleteFunc(paths, func(path string) bool { return path == "" })
}

// variable returns a variable of an environment, "" if it has none.
func variable(environ []string, name string) string {
	for _, entry := range environ {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}
