package profiles

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestExplicitPorts(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	home.free = nil // ask the system
	mustCreate(t, home, CreateOptions{Name: "off", Port: freePort(t), Disabled: true})
	broken := mustCreate(t, home, CreateOptions{Name: "broken", Port: freePort(t)})
	if err := os.WriteFile(broken.Profile.EnvFile(), []byte("???\nAPI_SERVER_PORT=21000\nAPI_SERVER_PORT=abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(broken.Profile.ConfigFile(), []byte("api_server: {port: 21001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home.dir, "config.yaml"), []byte("model:\n"), 0o600); err != nil {
		t.Fatal(err) // the default profile, on its default port
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	busy := listener.Addr().(*net.TCPAddr).Port
	tests := []struct {
		name string
		port int
		want string
	}{
		{"broken .env", 21000, "belongs to profile broken"},
		{"broken config.yaml", 21001, "belongs to profile broken"},
		{"default profile", 8642, "belongs to profile default"},
		{"another program", busy, "used by another program"},
		{"too large", 65536, "use 1 to 65535"},
		{"negative", -1, "use 1 to 65535"},
	}
	for _, test := range tests {
		_, err := home.Create(t.Context(), CreateOptions{Name: "new", Port: test.port})
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), fmt.Sprint(test.port)) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if name, used := home.PortUser(21001, ""); !used || name != "broken" {
		t.Errorf("port 21001 is used by %q, %v", name, used)
	}
	if name, used := home.PortUser(21001, "broken"); used {
		t.Errorf("without broken, port 21001 is used by %q", name)
	}
	if list := mustList(t, home); len(list) != 3 || len(hidden(t, home)) > 0 {
		t.Errorf("left: %v, %v", list, hidden(t, home))
	}
}

// freePort finds a port that nothing listens on.
func freePort(t *testing.T) int {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func TestPortsAreGivenInOrderAndStay(t *testing.T) {
	t.Parallel()
	home := openHome(t)
	busy := map[int]bool{firstPort: true, firstPort + 2: true}
	home.free = func(port int) error {
		if busy[port] {
			return syscall.EADDRINUSE
		}
		return nil
	}
	ports := []int{}
	for _, name := range []Name{"a", "b", "c"} {
		ports = append(ports, mustCreate(t, home, CreateOptions{Name: name}).Port)
	}
	if want := []int{firstPort + 1, firstPort + 3, firstPort + 4}; !slices.Equal(ports, want) {
		t.Errorf("got %v, want %v", ports, want)
	}
	if err := home.Remove(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if port := mustCreate(t, home, CreateOptions{Name: "d"}).Port; port != firstPort+3 {
		t.Errorf("the port of the one that left is not given again: %d", port)
	}
	home.free = func(int) error { return syscall.EADDRINUSE }
	if _, err := home.Create(t.Context(), CreateOptions{Name: "e"}); err == nil || !strings.Contains(err.Error(), "no port from 8643 to 32767 is free") {
		t.Errorf("got %v", err)
	}
	home.free = func(int) error { return syscall.EACCES }
	if _, err := home.Create(t.Context(), CreateOptions{Name: "e", Port: 80}); err == nil || !strings.Contains(err.Error(), "above 1023") {
		t.Errorf("got %v", err)
	}
}
