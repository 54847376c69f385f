package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"

	"hermes/worker/openai"
)

// key is what a bearer key is compared with. Its zero value means that no key
// is set.
type key struct {
	set bool
	// digest is the SHA-256 of the key. When what was set is no such digest,
	// valid is false and nobody gets in.
	digest [sha256.Size]byte
	valid  bool
}

// newKey makes a key of the hex digest of its SHA-256. An empty one means no key.
func newKey(digest string) key {
	k := key{set: digest != ""}
	n, err := hex.Decode(k.digest[:], []byte(digest[:min(len(digest), hex.EncodedLen(sha256.Size))]))
	k.valid = err == nil && n == sha256.Size && len(digest) == hex.EncodedLen(sha256.Size)
	return k
}

// authorize lets a request pass that brings the key, or, when none is set, one
// that can only have been made on this machine by somebody who meant to.
func (s *Server) authorize(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		k := &s.now.Load().key
		var err error
		if k.set {
			err = k.check(c.Request().Header)
		} else if !s.local(c.Request()) {
			err = refused(http.StatusForbidden, openai.TypePermission, codeForbidden,
				"This server has no API key and so answers only programs on its own machine that call it by a loopback address such as 127.0.0.1. "+
					"Set API_SERVER_KEY to use it from elsewhere.")
		}
		if err != nil {
			return err
		}
		return next(c)
	}
}

// check compares a request's key. Both sides are hashed, so that neither the
// time nor the length of the comparison says anything about the key.
func (k *key) check(header http.Header) error {
	credentials := header.Values("Authorization")
	if len(credentials) == 0 {
		return unauthorized("No API key was sent. Send it in the header: Authorization: Bearer YOUR_KEY.")
	}
	scheme, token, _ := strings.Cut(strings.TrimSpace(credentials[0]), " ")
	if len(credentials) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return unauthorized("The Authorization header must be sent once and hold the API key as: Bearer YOUR_KEY.")
	}
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if subtle.ConstantTimeCompare(digest[:], k.digest[:]) != 1 || !k.valid {
		return unauthorized("The API key is not the key of this profile. Each profile has a key of its own, API_SERVER_KEY in its .env file.")
	}
	return nil
}

func unauthorized(message string) *failure {
	return refused(http.StatusUnauthorized, openai.TypeInvalidRequest, codeInvalidKey, "%s", message)
}

// local reports whether a request without a key may pass. A web page that the
// user happens to visit can reach this port too, so the connection alone proves
// nothing: a rebound DNS name shows in Host, a foreign page in Origin or
// Sec-Fetch-Site.
func (s *Server) local(r *http.Request) bool {
	if address, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && !address.IP.IsLoopback() {
		return false
	}
	if !loopbackHost(r.Host) {
		return false
	}
	origin := r.Header.Get("Origin")
	if s.now.Load().origins[origin] {
		return true
	}
	if origin != "" && !sameOrigin(origin, r.Host) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	default:
		return false
	}
}

// loopbackHost reports whether a Host header, with or without a port, is a name
// or address of this machine that no DNS answer can change.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Zone() == "" && address.Unmap().IsLoopback()
}

// sameOrigin reports whether an Origin is this server itself.
func sameOrigin(origin, host string) bool {
	return strings.EqualFold(origin, "http://"+host) || strings.EqualFold(origin, "https://"+host)
}
