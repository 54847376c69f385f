package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// guard decides which addresses may be dialled. It looks at the address that the
// socket is about to connect to, so that neither a name that changes its mind
// between two look-ups nor an odd spelling of a number gets past it.
type guard struct {
	resolver *net.Resolver
	public   *ssrf.Guardian
	// named are hosts, with their ports, that may have private addresses.
	named map[string]*ssrf.Guardian
}

// newGuard makes a guard that lets through public addresses at these ports, and
// what the allowed entries name. Private ranges are those of a test; they lift
// the bound of the ports.
func newGuard(resolver *net.Resolver, ports []uint16, allowed []string, private []netip.Prefix) (*guard, error) {
	if len(ports) == 0 {
		ports = []uint16{80, 443}
	}
	g := &guard{resolver: resolver, named: make(map[string]*ssrf.Guardian)}
	ranges := append([]netip.Prefix(nil), private...)
	for _, entry := range allowed {
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
		host = plainHost(host)
		if host == "" || strings.ContainsAny(host, "/@ ") {
			return nil, fmt.Errorf("%q is neither a range of addresses nor a host", entry)
		}
		for _, port := range at {
			g.named[net.JoinHostPort(host, strconv.Itoa(int(port)))] = ssrf.New(
				ssrf.WithPorts(port), ssrf.WithAllowedV4Prefixes(intranet4()...), ssrf.WithAllowedV6Prefixes(intranet6()...))
		}
	}
	options := []ssrf.Option{ssrf.WithPorts(ports...)}
	if len(private) > 0 {
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

// dial connects to host:port, if one of its addresses may be connected to.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: -1, Resolver: g.resolver, Control: g.of(address).Safe}
	return dialer.DialContext(ctx, network, address)
}

// of returns what guards host:port.
func (g *guard) of(address string) *ssrf.Guardian {
	if host, port, err := net.SplitHostPort(address); err == nil {
		if named := g.named[net.JoinHostPort(plainHost(host), port)]; named != nil {
			return named
		}
	}
	return g.public
}

// check refuses at once what dial would refuse too, where the host is written as
// an address. Names are looked up only to be dialled.
func (g *guard) check(u *url.URL) error {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	addr, noAddress := netip.ParseAddr(u.Hostname())
	number, err := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil:
		return errPort
	case noAddress != nil:
		return nil //nolint:nilerr // a name is no fault
	}
	return g.of(net.JoinHostPort(u.Hostname(), port)).SafeAddrPort(netip.AddrPortFrom(addr, uint16(number)))
}

// Why an address is not fetched, as clauses for the model.
var (
	errScheme  = errors.New("only http and https addresses are fetched")
	errUser    = errors.New("an address with a user name or password in it is not fetched")
	errHost    = errors.New("the address has no valid host")
	errPort    = errors.New("the address has no valid port")
	errPrivate = errors.New("it leads to an address that is not public; only public addresses are fetched")
	errPorts   = errors.New("its port is not one that pages are fetched from")
	errLong    = errors.New("the address is longer than 8192 bytes")
)

// maxURL is how long an address may be, in bytes.
const maxURL = 8192

// parse reads an address as a model writes it. One without a scheme is taken for
// https.
func parse(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxURL {
		return nil, errLong
	}
	if !strings.Contains(text, "://") {
		if schemed(text) {
			return nil, errScheme
		}
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("the address cannot be read")
	}
	return u, inspect(u)
}

// schemed reports whether text begins with a scheme, as in mailto:x. A host with
// a port looks much the same.
func schemed(text string) bool {
	before, after, found := strings.Cut(text, ":")
	return found && !strings.ContainsAny(before, "/.[?#") && (after == "" || after[0] < '0' || after[0] > '9')
}

// inspect checks an address before it is fetched, and writes its host in the plain
// form. It runs for each hop of a redirect.
func inspect(u *url.URL) error {
	host := plainHost(u.Hostname())
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errScheme
	case u.User != nil:
		return errUser
	case host == "", len(host) > 253, strings.HasSuffix(host, "."), strings.ContainsAny(host, "%@/\\ \t\r\n"):
		return errHost
	case strings.HasSuffix(u.Host, ":"):
		return errPort
	}
	if port := u.Port(); port != "" {
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return errPort
		}
	}
	if _, err := netip.ParseAddr(host); err != nil && numeric(host) {
		return errHost
	}
	rest := strings.TrimPrefix(u.Host, "["+u.Hostname()+"]")
	rest = strings.TrimPrefix(rest, u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	u.Host = host + rest
	return nil
}

// numeric reports whether resolvers might take a name for a number: 2130706433,
// 127.1, 0x7f.1 and 0177.0.0.1 are all spellings of 127.0.0.1. No public name
// ends so (WHATWG URL, "ends in a number").
func numeric(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "" {
		return false
	}
	hex := strings.HasPrefix(last, "0x")
	return hex || strings.Trim(last, "0123456789") == ""
}

// plainHost writes a host in lower case, without the dot that may end it.
func plainHost(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// hostPort is the host and the port of a base URL.
func hostPort(base string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", errors.New("the URL cannot be read")
	}
	if err := inspect(u); err != nil {
		return "", err
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	return net.JoinHostPort(u.Hostname(), port), nil
}
