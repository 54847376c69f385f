// Package guard decides which addresses may be dialled for somebody who is not
// trusted with that: a model, a page, a command. It looks at the address that the
// socket is about to connect to, so that neither a name that changes its mind
// between two look-ups nor an odd spelling of a number gets past it.
package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// Guard dials what may be dialled.
type Guard struct {
	resolver *net.Resolver
	public   *ssrf.Guardian
	// named are hosts, with their ports, that may have private addresses.
	named map[string]*ssrf.Guardian
}

// Options say what may be dialled.
type Options struct {
	// Ports are those of public addresses; 80 and 443 if there are none.
	Ports []uint16
	// Allowed are private places that may be dialled too: CIDR ranges, hosts, or
	// hosts with a port.
	Allowed []string
	// Private ranges are those of a test; they lift the bound of the ports.
	Private []netip.Prefix
	// Resolver looks names up; nil is the usual one.
	Resolver *net.Resolver
}

// New makes a Guard that lets through public addresses at the ports, and what the
// allowed entries name.
func New(opts Options) (*Guard, error) {
	ports := opts.Ports
	if len(ports) == 0 {
		ports = []uint16{80, 443}
	}
	g := &Guard{resolver: opts.Resolver, named: make(map[string]*ssrf.Guardian)}
	ranges := append([]netip.Prefix(nil), opts.Private...)
	for _, entry := range opts.Allowed {
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			ranges = append(ranges, prefix.Masked())
			continue
		}
		host, at := entry, ports
		if h, p, err := net.SplitHostPort(entry); err == nil {
			port, err := strconv.ParseUint(p, 10, 16)
			if err != nil || port == 0 {
				return nil, fmt.Errorf("%q has no valid port", entry)
			}
			host, at = h, []uint16{uint16(port)}
		}
		host = PlainHost(host)
		if host == "" || strings.ContainsAny(host, "/@ ") {
			return nil, fmt.Errorf("%q is neither a range of addresses nor a host", entry)
		}
		for _, port := range at {
			g.named[net.JoinHostPort(host, strconv.Itoa(int(port)))] = ssrf.New(
				ssrf.WithPorts(port), ssrf.WithAllowedV4Prefixes(intranet4()...), ssrf.WithAllowedV6Prefixes(intranet6()...))
		}
	}
	options := []ssrf.Option{ssrf.WithPorts(ports...)}
	if len(opts.Private) > 0 {
		options = append(options, ssrf.WithAnyPort())
	}
	var v4, v6 []netip.Prefix
	for _, prefix := range ranges {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	g.public = ssrf.New(append(options, ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))...)
	return g, nil
}

// intranet4 and intranet6 are what a host that somebody allowed by its name may
// resolve to beside public addresses. Link-local ones, where clouds keep their
// metadata, are not among them; they would have to be allowed as a range.
func intranet4() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
	}
}

func intranet6() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7")}
}

// DialContext connects to host:port, if one of its addresses may be connected to.
func (g *Guard) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1, Resolver: g.resolver, Control: g.of(address).Safe}
	return dialer.DialContext(ctx, network, address)
}

// of returns what guards host:port.
func (g *Guard) of(address string) *ssrf.Guardian {
	if host, port, err := net.SplitHostPort(address); err == nil {
		if named := g.named[net.JoinHostPort(PlainHost(host), port)]; named != nil {
			return named
		}
	}
	return g.public
}

// Check refuses at once what DialContext would refuse too, where the host is written
// as an address. Names are looked up only to be dialled.
func (g *Guard) Check(host string, port uint16) error {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return nil //nolint:nilerr // a name is no fault
	}
	return g.of(net.JoinHostPort(host, strconv.Itoa(int(port)))).SafeAddrPort(netip.AddrPortFrom(addr, port))
}

// What a refusal is on the other side of a wire.
var (
	ErrPrivate = errors.New("the address is not public")
	ErrPort    = errors.New("the port is not one that may be dialled")
)

// IsPrivate reports whether an error says that the address is not one to dial.
func IsPrivate(err error) bool {
	return errors.Is(err, ErrPrivate) || errors.Is(err, ssrf.ErrProhibitedIP) || errors.Is(err, ssrf.ErrProhibitedNetwork) || errors.Is(err, ssrf.ErrInvalidHostPort)
}

// IsPort reports whether an error says that the port is not one to dial.
func IsPort(err error) bool { return errors.Is(err, ErrPort) || errors.Is(err, ssrf.ErrProhibitedPort) }

// Numeric reports whether resolvers might take a name for a number: 2130706433,
// 127.1, 0x7f.1 and 0177.0.0.1 are all spellings of 127.0.0.1. No public name
// ends so (WHATWG URL, "ends in a number").
func Numeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	hex := strings.HasPrefix(last, "0x")
	return hex || strings.Trim(last, "0123456789") == ""
}

// PlainHost writes a host in lower case, without the dot that may end it.
func PlainHost(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
