//go:build !linux

package supervisor

import "net"

// deafen keeps a listener from beginning further connections. Only Linux can; here
// those that a worker has not accepted when it closes the listener are reset.
func deafen(*net.TCPListener) error { return nil }
