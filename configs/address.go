package configs

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

var hostPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
})

// maxLabel is how long a part of a host name may be. See maxName.
const maxLabel = 63

func isHostName(text string) bool {
	for label := range strings.SplitSeq(text, ".") {
		if len(label) > maxLabel {
			return false
		}
	}
	return hostPattern().MatchString(text)
}

// parseHost takes what a server can be bound to: an IP address, localhost or a
// host name.
func parseHost(text string) (any, error) {
	if text == "" {
		return nil, errors.New("the address is empty; use 127.0.0.1 for this machine only, or 0.0.0.0 for all networks")
	}
	if strings.HasPrefix(text, "[") {
		return nil, fmt.Errorf("%s: write the IPv6 address without brackets", quote(text))
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return addr.String(), nil
	}
	if strings.ContainsAny(text, "*") {
		return nil, fmt.Errorf("%s is no address; for all networks write 0.0.0.0, or :: for IPv6 too", quote(text))
	}
	if _, err := netip.ParseAddrPort(text); err == nil || strings.Contains(text, ":") {
		return nil, fmt.Errorf("%s is no address; write the host alone, the port stands in API_SERVER_PORT", quote(text))
	}
	last := text[strings.LastIndexByte(text, '.')+1:]
	if _, err := strconv.Atoi(last); err == nil || len(text) > 253 || !isHostName(text) {
		return nil, fmt.Errorf("%s is neither an IP address nor a host name", quote(text))
	}
	return strings.ToLower(text), nil
}

// parseAddress takes where a server listens: a host or an IP address, and a port.
// Empty is nowhere.
func parseAddress(text string) (any, error) {
	if text == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return nil, fmt.Errorf("%s is no address with a port; write one such as 127.0.0.1:9642 or [::1]:9642", quote(text))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, fmt.Errorf("%s has no port between 1 and %d", quote(text), maxPort)
	}
	if _, err := parseHost(host); err != nil {
		return nil, err
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}

// Loopback reports whether host, as parsed for API_SERVER_HOST, is reached from
// this machine only.
func Loopback(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// parseURL takes the base URL of an endpoint. Credentials are refused, and the
// value is not quoted in that case, because config.yaml is no place for them.
func parseURL(text string) (any, error) {
	if text == "" {
		return "", nil
	}
	if strings.Contains(text, "@") {
		return nil, errors.New("the URL has credentials in it; leave them out and name the variable that holds the key in api_key_env")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || strings.Contains(text, " "):
		return nil, fmt.Errorf("%s is no URL; write it like https://api.openai.com/v1", quote(text))
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s does not begin with http:// or https://", quote(text))
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return nil, errors.New("the URL has a ? or # part; write the base URL alone, like https://api.openai.com/v1")
	case !validPort(u):
		return nil, fmt.Errorf("%s has no valid port; use 1 to %d", quote(text), maxPort)
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), "/chat/completions"):
		return nil, fmt.Errorf("%s is one endpoint; write the base URL, without /chat/completions", quote(text))
	}
	return strings.TrimRight(text, "/"), nil
}

// parsePlaces takes ranges of addresses, hosts, and hosts with a port. An address
// alone is a host.
func parsePlaces(items []string) (any, error) {
	places := []string{}
	for _, item := range items {
		place, err := parsePlace(item)
		if err != nil {
			return nil, err
		}
		places = append(places, place)
	}
	return places, nil
}

func parsePlace(text string) (string, error) {
	bad := fmt.Errorf("%s is neither a range of addresses, like 10.1.0.0/16, nor a host, like wiki.lan or wiki.lan:8080", quote(text))
	if prefix, err := netip.ParsePrefix(text); err == nil {
		if prefix.Bits() == 0 {
			return "", fmt.Errorf("%s is the whole of the internet and every private network; name what is meant", quote(text))
		}
		return prefix.Masked().String(), nil
	}
	host, port := text, ""
	if _, err := netip.ParseAddr(text); err != nil && strings.Contains(text, ":") {
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", bad
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > maxPort {
			return "", bad
		}
	}
	parsed, err := parseHost(host)
	if err != nil {
		return "", bad
	}
	if host, _ = parsed.(string); port != "" {
		return net.JoinHostPort(host, port), nil
	}
	return host, nil
}

// parseHosts takes hosts, and .host for all hosts below one.
func parseHosts(items []string) (any, error) {
	hosts := []string{}
	for _, item := range items {
		name, below := strings.CutPrefix(item, ".")
		parsed, err := parseHost(name)
		host, _ := parsed.(string)
		if err != nil || host == "" || below && !strings.Contains(host, ".") {
			return nil, fmt.Errorf("%s is neither a host, like pypi.org, nor all hosts below one, like .github.com", quote(item))
		}
		if below {
			host = "." + host
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// parsePorts takes ports, each between 1 and maxPort.
func parsePorts(items []string) (any, error) {
	ports := []string{}
	for _, item := range items {
		n, err := strconv.Atoi(item)
		if err != nil || n < 1 || n > maxPort {
			return nil, fmt.Errorf("%s is no port; use 1 to %d", quote(item), maxPort)
		}
		ports = append(ports, strconv.Itoa(n))
	}
	return ports, nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.Atoi(u.Port())
	return err == nil && n >= 1 && n <= maxPort
}

// loopbackURL reports whether a base URL leads to this machine.
func loopbackURL(base string) bool {
	u, err := url.Parse(base)
	return err == nil && Loopback(u.Hostname())
}

var schemePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z][a-z0-9+.-]*$`)
})

// parseOrigins takes exact browser origins and writes each the way a browser
// sends it: lower case, without the scheme's own port. Schemes other than http
// are allowed for apps and extensions (app://, chrome-extension://).
func parseOrigins(items []string) (any, error) {
	origins := []string{}
	for _, item := range items {
		origin, err := parseOrigin(item)
		if err != nil {
			return nil, err
		}
		origins = append(origins, origin)
	}
	return origins, nil
}

func parseOrigin(text string) (string, error) {
	switch {
	case text == "null":
		return "", errors.New("`null` is sent by any sandboxed page, so it cannot be allowed; name exact origins")
	case strings.Contains(text, "*"):
		return "", fmt.Errorf("%s: `*` is not allowed; list each origin exactly, like https://chat.example.com", quote(text))
	case strings.Contains(text, "@"):
		return "", errors.New("the origin has credentials in it; write scheme, host and port alone")
	}
	bad := fmt.Errorf("%s is no origin; write scheme://host[:port], like https://chat.example.com or http://localhost:3000", quote(text))
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || !schemePattern().MatchString(u.Scheme) || !validPort(u) {
		return "", bad
	}
	if u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsAny(text, "#?") {
		return "", fmt.Errorf("%s has something after the host; an origin ends there, without a slash", quote(text))
	}
	host := strings.ToLower(u.Hostname())
	addr, ipErr := netip.ParseAddr(host)
	if ipErr != nil && !isHostName(strings.ReplaceAll(host, "_", "-")) {
		return "", bad
	}
	if ipErr == nil && addr.Is6() {
		host = "[" + host + "]"
	}
	port := u.Port()
	usual := u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443"
	if port != "" && !usual {
		host += ":" + port
	}
	return u.Scheme + "://" + host, nil
}
