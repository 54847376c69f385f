package inside

import (
	"errors"
	"syscall"
)

// ProxyPort is where a command finds its proxy, in a network in which nothing else
// is.
const ProxyPort = 3128

// listen opens the listener of the proxy in the network of the command, which is
// empty.
func listen() (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, &failure{"open socket", err}
	}
	err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: ProxyPort, Addr: [4]byte{127, 0, 0, 1}})
	if err == nil {
		err = syscall.Listen(fd, syscall.SOMAXCONN)
	}
	if err != nil {
		return 0, errors.Join(&failure{"listen for the proxy", err}, syscall.Close(fd))
	}
	return fd, nil
}

// hand gives the listener away on a byte of its own, before the first answer.
func (s *stage) hand(listener int) error {
	err := syscall.Sendmsg(int(s.control.Fd()), []byte{0}, syscall.UnixRights(listener), nil, syscall.MSG_NOSIGNAL)
	return errors.Join(err, syscall.Close(listener))
}
