package supervisor

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// deafen keeps a listener from beginning further connections, in every process
// that has it. Those that have begun are completed, and those that are complete
// stay in the queue. Whoever comes now asks again in a second, as if the packet
// had been lost, and meets what is there by then: another listener, or nobody.
//
// The kernel resets what is in the queue of a listener when its last descriptor is
// closed, so without this a worker would have to accept and close in one step.
func deafen(ln *net.TCPListener) error {
	const flags, syn = 13, 0x02 // where the flags of a TCP header are, and the one of a first packet
	program := [4]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 0, Jf: 1, K: syn},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0}, // drop
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	}
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		filter := unix.SockFprog{Len: 4, Filter: &program[0]}
		failed = os.NewSyscallError("setsockopt", unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &filter))
	})
	return errors.Join(err, failed)
}
