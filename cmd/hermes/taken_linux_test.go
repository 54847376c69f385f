package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox/wall"
	"hermes/supervisor/sandbox/wall/inside"
)

// takenProgram is the name of a hermes whose workers do what somebody else wants.
const takenProgram = "hermes-taken"

// beTaken makes this worker, if it is one of takenProgram, one that an attacker runs
// in: it stands behind its walls and has what a worker has. When the file storm is in
// its workspace, it throws garbage at whom that names, from a seed, and writes what
// came of it to storm.done.
func beTaken() {
	exe, err := os.Executable()
	if err != nil || filepath.Base(exe) != takenProgram || len(os.Args) != 2 || os.Args[1] != handoff.Subcommand {
		return
	}
	go func() {
		for range time.Tick(5 * time.Millisecond) {
			var target string
			var seed uint64
			data, _ := os.ReadFile("workspace/storm") // the profile's, once it belongs to one
			if n, _ := fmt.Sscan(string(data), &target, &seed); n != 2 {
				continue
			}
			s := &storm{Rand: rand.New(rand.NewPCG(seed, 1))}
			s.find()
			_ = os.Remove("workspace/storm")
			said := map[string]func() string{"egress": s.egress, "shim": s.shim, "supervisor": s.supervisor}[target]()
			_ = os.WriteFile("workspace/storm.new", []byte(said), 0o600)
			_ = os.Rename("workspace/storm.new", "workspace/storm.done")
		}
	}()
}

// storm is garbage, the same for the same seed.
type storm struct {
	*rand.Rand

	way   int   // the socket to egress
	kinds []int // descriptors of all kinds that the worker has or can make
}

// find looks for what this process has.
func (s *storm) find() {
	for fd := wall.ShimFD + 1; fd < 256; fd++ {
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil {
			continue
		}
		listens, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		switch {
		case kind == unix.SOCK_SEQPACKET:
			s.way = fd
		case listens == 1:
			s.kinds = append(s.kinds, fd)
		}
	}
	stream, _ := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	packets, _ := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	null, _ := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	memory, _ := unix.MemfdCreate("storm", unix.MFD_CLOEXEC)
	s.kinds = append(s.kinds, handoff.ControlFD, wall.ShimFD, s.way, stream[0], packets[0], packets[1], null, memory)
}

// some are so many descriptors.
func (s *storm) some(n int) []int {
	fds := make([]int, n)
	for i := range fds {
		fds[i] = s.kinds[s.IntN(len(s.kinds))]
	}
	return fds
}

func (s *storm) oneOf(all ...int) int { return all[s.IntN(len(all))] }

// bytes are so many, whatever they are.
func (s *storm) bytes(n int) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(s.Uint32())
	}
	return data
}

// bend cuts a text, doubles a part of it, or changes some of its bytes.
func (s *storm) bend(text string) []byte {
	data := []byte(text)
	at := s.IntN(len(data))
	switch s.IntN(4) {
	case 0:
		return data[:at]
	case 1:
		return append(data[:at:at], data[at/2:]...)
	case 2:
		data[at] = byte(s.Uint32())
	}
	return data
}

// throw sends a message, if there is room for it soon. One without anything is how a
// worker says that it has gone, and would end the storm.
func (s *storm) throw(to int, data []byte, fds ...int) bool {
	if len(data)+len(fds) == 0 {
		return true
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	for range 100 {
		err := unix.Sendmsg(to, data, rights, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ETOOMANYREFS) {
			return err == nil
		}
		<-time.After(2 * time.Millisecond)
	}
	return false
}

// egress throws messages that no worker sends, heads that no client sends, and opens
// connections by the hundred of which it wants nothing.
func (s *storm) egress() string {
	sent := 0
	for range 250 {
		if s.throw(s.way, s.bytes(s.oneOf(0, 1, 1, 2, 300, 5000)), s.some(s.oneOf(0, 1, 1, 2, 16, 253))...) {
			sent++
		}
	}
	spoken := 0
	for range 300 {
		conn := s.open()
		if conn < 0 {
			continue
		}
		for range 1 + s.IntN(3) {
			_, _ = unix.Write(conn, s.bend(stormHeads[s.IntN(len(stormHeads))]))
		}
		if s.IntN(2) == 0 {
			_ = unix.Shutdown(conn, unix.SHUT_WR)
			_, _ = unix.Read(conn, make([]byte, 1<<10))
		}
		_ = unix.Close(conn)
		spoken++
	}
	open := 0
	for range 3 { // each time more than there may be
		var held []int
		for range 700 {
			if conn := s.open(); conn >= 0 {
				_, _ = unix.Write(conn, s.bend(stormHeads[0]))
				held = append(held, conn)
			}
		}
		open += len(held)
		for _, conn := range held {
			_ = unix.Close(conn)
		}
	}
	return fmt.Sprintf("sent %d spoken %d open %d", sent, spoken, open)
}

// stormHeads are beginnings of what a client could say.
var stormHeads = []string{
	"POST /v1/chat/completions HTTP/1.1\r\nHost: egress\r\nHermes-Upstream: model/0\r\nContent-Length: 99999999999999\r\n\r\n{",
	"GET /v1/models HTTP/1.1\r\nHost: egress\r\nHermes-Upstream: model/0\r\n\r\n",
	"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nHermes-Upstream: model/0\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
	"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"GET / HTTP/1.1\r\nA: " + strings.Repeat("a", 30<<10) + "\r\n",
}

// open opens a connection to egress, which may be turned away; -1 if it cannot.
func (s *storm) open() int {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1
	}
	defer unix.Close(pair[1])
	if !s.throw(s.way, []byte{"apt"[s.IntN(3)]}, pair[1]) {
		_ = unix.Close(pair[0])
		return -1
	}
	return pair[0]
}

// asked is a request to a shim as a worker would send it.
func asked(r inside.Request) string {
	data, _ := r.Bytes() // none is too long
	return string(data)
}

// shim throws requests that no worker makes, starts stages that are told nonsense or
// nothing, and asks without listening.
func (s *storm) shim() string {
	requests := []string{
		asked(inside.Request{Kind: inside.AskRoom, Room: &inside.Room{Layers: inside.Layers{Namespaces: true, Mounts: true}, Writes: []inside.Place{{Source: "/", Path: "/x"}}}}),
		asked(inside.Request{Kind: inside.AskStage, Stage: &inside.Start{Dir: "/", Mark: "X=1", Files: []bool{true, false}}}),
		asked(inside.Request{Kind: inside.AskListen}), asked(inside.Request{Kind: inside.AskDeaf}), asked(inside.Request{Kind: inside.AskSoul}),
		asked(inside.Request{Kind: "run"}), asked(inside.Request{}), "[]",
	}
	for range 400 {
		data := s.bend(requests[s.IntN(len(requests))])
		if s.IntN(8) == 0 {
			data = s.bytes(s.oneOf(1, 100, 70<<10))
		}
		s.throw(wall.ShimFD, data, s.some(s.oneOf(0, 0, 1, 4, 5, 100, 253))...)
		if s.IntN(2) == 0 {
			s.listen(20 * time.Millisecond)
		}
	}
	s.listen(200 * time.Millisecond)
	var plans []int
	for range 30 {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			break
		}
		null := s.kinds[len(s.kinds)-2]
		s.throw(wall.ShimFD, []byte(asked(inside.Request{Kind: inside.AskStage, Stage: &inside.Start{Dir: "/"}})), pair[1], null, null, null)
		s.listen(200 * time.Millisecond)
		_ = unix.Close(pair[1])
		plan := s.bytes(s.IntN(100))
		if s.IntN(2) == 0 { // as long as a plan cannot be, or longer than it is
			plan = append(binary.BigEndian.AppendUint32(nil, uint32(s.oneOf(1<<31, 100, 8<<20))), plan...)
		}
		_ = unix.Sendto(pair[0], plan, unix.MSG_NOSIGNAL, nil)
		plans = append(plans, pair[0]) // it may wait for more
	}
	for _, plan := range plans {
		_ = unix.Close(plan)
	}
	s.listen(500 * time.Millisecond) // what comes later would be taken for an answer to somebody else
	return fmt.Sprintf("stages %d", len(plans))
}

// listen takes answers of the shim until none has come for so long.
func (s *storm) listen(silence time.Duration) {
	for {
		timeout := unix.NsecToTimeval(silence.Nanoseconds())
		_ = unix.SetsockoptTimeval(wall.ShimFD, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
		rights := make([]byte, unix.CmsgSpace(4*4))
		n, m, _, _, err := unix.Recvmsg(wall.ShimFD, make([]byte, 8<<10), rights, unix.MSG_CMSG_CLOEXEC)
		if err != nil || n == 0 {
			return
		}
		messages, _ := unix.ParseSocketControlMessage(rights[:m])
		for i := range messages {
			fds, _ := unix.ParseUnixRights(&messages[i])
			for _, fd := range fds {
				_ = unix.Close(fd)
			}
		}
	}
}

// supervisor tells it lies in the words of a worker, then sends what is no message, and
// one without an end.
func (s *storm) supervisor() string {
	long := strings.Repeat("x", 5<<10)
	walls := &handoff.Walls{Level: "FULL", Why: long[:4<<10], Mend: "\x1b[2J"}
	for range 300 {
		lies := []handoff.Message{
			{Kind: handoff.KindBusy, Busy: int(s.Uint32()), Jobs: 1 << 40},
			{Kind: handoff.KindWalls, Walls: walls},
			{Kind: handoff.KindApplied, Revision: int(s.Uint32())},
			{Kind: handoff.KindReady},
			{Kind: handoff.KindBeat},
			{Kind: handoff.KindStart, Start: &handoff.Start{Profile: "alice"}},
			{Kind: handoff.KindStop},
			{Kind: handoff.KindAdopt, Profile: "alice"},
			{Kind: handoff.KindReport, Ready: true},
			{Kind: handoff.Kind(long)},
			{Kind: handoff.KindDrain, Limit: 1 << 60},
		}
		var line bytes.Buffer
		_ = handoff.Encode(&line, lies[s.IntN(len(lies))]) // none is too long
		s.throw(handoff.ControlFD, line.Bytes(), s.some(s.oneOf(0, 0, 1, 100))...)
	}
	s.throw(handoff.ControlFD, append(s.bend(`{"kind":"walls","walls":{"level":"WEAK"}}`), s.bytes(300)...))
	endless := 0
	for s.throw(handoff.ControlFD, []byte(strings.Repeat("x", 32<<10))) && endless < 100 {
		endless++
	}
	return fmt.Sprintf("endless %d", endless)
}
