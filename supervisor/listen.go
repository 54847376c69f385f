package supervisor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"hermes/configs"
	"hermes/profiles"
)

// claim is the address that a profile's settings ask for.
type claim struct {
	host string
	port int
}

func claimOf(c configs.APIServer) claim { return claim{host: c.Host, port: c.Port} }

func (c claim) String() string { return net.JoinHostPort(c.host, strconv.Itoa(c.port)) }

// meets reports whether no two listeners can have both claims.
func (c claim) meets(other claim) bool {
	if c.port != other.port || c.port == 0 {
		return false
	}
	return c.host == other.host || wildcard(c.host) || wildcard(other.host)
}

func wildcard(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || (ip != nil && ip.IsUnspecified())
}

// bind opens the listener of a profile. MPTCP is off: rules of the kernel about
// TCP ports do not see it, and no client of ours speaks it.
//
// A profile may move between two addresses that the kernel takes for one, such
// as 127.0.0.1 and 0.0.0.0 with the same port: then its old listener shares the
// port for the moment, and with nobody else.
func bind(ctx context.Context, c claim, old address) (*net.TCPListener, error) {
	var config net.ListenConfig
	if old.listener != nil && old.claim.port == c.port {
		if err := sharePort(old.listener, true); err != nil {
			return nil, err
		}
		defer func() { _ = sharePort(old.listener, false) }() // it is closed soon
		config.Control = func(_, _ string, raw syscall.RawConn) error { return share(raw, true) }
	}
	config.SetMultipathTCP(false)
	network := "tcp"
	if ip := net.ParseIP(c.host); ip.To4() != nil {
		network = "tcp4" // or Go would make 0.0.0.0 mean every IPv6 address too
	}
	ln, err := config.Listen(ctx, network, c.String())
	if err != nil {
		return nil, err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listener on %s is a %T", c, ln), ln.Close())
	}
	if config.Control != nil {
		if err := sharePort(tcp, false); err != nil {
			return nil, errors.Join(err, tcp.Close())
		}
	}
	return tcp, nil
}

// duplicate returns a descriptor of ln for another process. Unlike ln.File, whose
// Fd makes the socket itself block for everybody that has it, it leaves the mode
// alone: a worker whose listener blocks cannot stop to accept before somebody
// else comes.
func duplicate(c syscall.Conn, name string) (*os.File, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var dup int
	var failed error
	err = raw.Control(func(fd uintptr) {
		dup, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err := errors.Join(err, os.NewSyscallError("fcntl", failed)); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dup), name), nil
}

// sharePort says whether further listeners of this user may have the port too.
func sharePort(ln *net.TCPListener, on bool) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	return share(raw, on)
}

func share(raw syscall.RawConn, on bool) error {
	value := 0
	if on {
		value = 1
	}
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, value))
	})
	return errors.Join(err, failed)
}

// bindReason says for a person why c could not be bound, and what to do.
func bindReason(c claim, name profiles.Name, err error) string {
	another := fmt.Sprintf("or give this profile another port: %s config set API_SERVER_PORT NUMBER", command(name))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("port %d is taken by another program; stop that one, %s", c.port, another)
	case errors.Is(err, syscall.EACCES):
		return fmt.Sprintf("port %d needs privileges that this gateway does not have; %s", c.port, another)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("this machine has no address %s; correct API_SERVER_HOST", c.host)
	default:
		return fmt.Sprintf("cannot listen on %s: %v", c, err)
	}
}

// rivalReason says for a person that another profile of the same gateway has the
// port of profile name.
func rivalReason(c claim, name, rival profiles.Name) string {
	return fmt.Sprintf("port %d conflicts with profile %s, which has it already; give this profile another: %s config set API_SERVER_PORT NUMBER",
		c.port, rival, command(name))
}

// command is how a command for profile name begins.
func command(name profiles.Name) string {
	if name == profiles.Default {
		return "hermes"
	}
	return "hermes -p " + string(name)
}
