package web

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"hermes/supervisor/egress/guard"
)

// check refuses at once what a dial would refuse too, where the host is written as
// an address and it is this process that dials.
func (c *Client) check(u *url.URL) error {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return errPort
	}
	if c.guard == nil { // who dials decides
		return nil
	}
	return c.guard.Check(u.Hostname(), uint16(number))
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
	host := guard.PlainHost(u.Hostname())
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
	if _, err := netip.ParseAddr(host); err != nil && guard.Numeric(host) {
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
