package wall

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall/inside"
)

// proxyEnv tells programs of the proxy, in the spellings that they look for.
func proxyEnv() []string {
	address := fmt.Sprintf("http://127.0.0.1:%d", inside.ProxyPort)
	const own = "localhost,127.0.0.1,::1"
	return []string{
		"http_proxy=" + address, "https_proxy=" + address, "all_proxy=" + address, "no_proxy=" + own,
		"HTTP_PROXY=" + address, "HTTPS_PROXY=" + address, "ALL_PROXY=" + address, "NO_PROXY=" + own,
		"NODE_USE_ENV_PROXY=1", // Node.js looks at them from 22.21 and 24.5 on, if it is told to
	}
}

// takeProxy takes the listener from the stage, and has its connections served.
func (g *Guard) takeProxy() error {
	raw, err := g.ours.SyscallConn()
	if err != nil {
		return err
	}
	data, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	var n, oobn int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, failed = unix.Recvmsg(int(fd), data, oob, unix.MSG_CMSG_CLOEXEC)
		return !errors.Is(failed, unix.EAGAIN)
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) == 0 {
		return nil // the stage has failed before, and says so next
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return errors.New("the stage has handed out no listener")
	}
	file := os.NewFile(uintptr(fds[0]), "proxy")
	defer file.Close()
	g.unproxy, err = g.proxy(file)
	return err
}
