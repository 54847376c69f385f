package wall

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// proxyPort is where a command finds its proxy, in a network in which nothing else
// is.
const proxyPort = 3128

// proxyEnv tells programs of the proxy, in the spellings that they look for.
func proxyEnv() []string {
	address := fmt.Sprintf("http://127.0.0.1:%d", proxyPort)
	const own = "localhost,127.0.0.1,::1"
	return []string{
		"http_proxy=" + address, "https_proxy=" + address, "all_proxy=" + address, "no_proxy=" + own,
		"HTTP_PROXY=" + address, "HTTPS_PROXY=" + address, "ALL_PROXY=" + address, "NO_PROXY=" + own,
	}
}

// listen opens the listener of the proxy in the network of the command, which is
// empty.
func listen() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open socket: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrInet4{Port: proxyPort, Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		return 0, errors.Join(fmt.Errorf("listen for the proxy: %w", err), unix.Close(fd))
	}
	return fd, nil
}

// hand gives the listener away on a byte of its own, before the first answer.
func (s *stage) hand(listener int) error {
	err := unix.Sendmsg(int(s.control.Fd()), []byte{0}, unix.UnixRights(listener), nil, unix.MSG_NOSIGNAL)
	return errors.Join(err, unix.Close(listener))
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
