//go:build !linux

package supervisor

import "net"

// checkPeer does nothing: here the modes of the socket and of its directory are
// all that keeps others out.
func checkPeer(net.Conn) error { return nil }
