package wall_test

import (
	"context"
	"io"
	"net"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// networkAttacks are those of a worker that has no business with sockets.
func networkAttacks() []attack {
	open := func(name string, domain, kind, protocol int) attack {
		return attack{name, func(*scene) error {
			fd, err := unix.Socket(domain, kind, protocol)
			if err != nil {
				return err
			}
			return unix.Close(fd)
		}}
	}
	return append(localNetworkAttacks(), []attack{
		open("a local socket", unix.AF_UNIX, unix.SOCK_STREAM, 0), open("a TCP socket", unix.AF_INET, unix.SOCK_STREAM, 0),
		open("a TCP socket of version 6", unix.AF_INET6, unix.SOCK_STREAM, 0), open("a UDP socket", unix.AF_INET, unix.SOCK_DGRAM, 0),
		open("ask for the routes", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE),
		open("a ping socket", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP), open("UDP-Lite", unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDPLITE),
		open("SCTP", unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP), open("events of devices", unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT),
		open("a socket of Bluetooth", unix.AF_BLUETOOTH, unix.SOCK_RAW, 0), open("a socket of TIPC", unix.AF_TIPC, unix.SOCK_SEQPACKET, 0),
		open("a socket of keys", unix.AF_KEY, unix.SOCK_RAW, 2), open("a socket of XDP", unix.AF_XDP, unix.SOCK_RAW, 0), open("a socket of CAN", unix.AF_CAN, unix.SOCK_RAW, 1),
	}...)
}

func localNetworkAttacks() []attack {
	return []attack{
		{"speak to a port of the machine", func(s *scene) error {
			conn, err := net.DialTimeout("tcp", s.Port, dialTimeout)
			if err != nil {
				return err
			}
			defer conn.Close()
			said, err := io.ReadAll(conn)
			if strings.Contains(string(said), canary) {
				return nil
			}
			return err
		}},
		{"speak to a port of the machine by MPTCP", func(s *scene) error { return dialBy(s.Port, unix.IPPROTO_MPTCP, false) }},
		{"speak to a port of the machine by Fast Open", func(s *scene) error { return dialBy(s.Port, 0, true) }},
		{"take a port of the machine", func(*scene) error {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			return listener.Close()
		}},
		{"listen on all addresses", func(*scene) error {
			listener, err := net.Listen("tcp", ":0")
			if err != nil {
				return err
			}
			return listener.Close()
		}},
		{"share a port of the machine", func(s *scene) error {
			config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
				return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
			}}
			listener, err := config.Listen(context.Background(), "tcp", s.Port)
			if err != nil {
				return err
			}
			return listener.Close()
		}},
		{"find a way to the machine's metadata", func(*scene) error {
			conn, err := net.DialTimeout("udp", "169.254.169.254:80", dialTimeout)
			if err != nil {
				return err
			}
			return conn.Close()
		}},
		{"find a way to a name server", func(*scene) error {
			conn, err := net.DialTimeout("udp", "192.0.2.53:53", dialTimeout)
			if err != nil {
				return err
			}
			return conn.Close()
		}},
	}
}

// dialBy connects to a port as a rule about TCP may not see it.
func dialBy(address string, protocol int, fastOpen bool) error {
	to, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, protocol)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	at := &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}
	if fastOpen {
		return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, at)
	}
	return unix.Connect(fd, at)
}
