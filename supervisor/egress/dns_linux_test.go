package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// lyingResolver is a resolver that asks a DNS server of the test: answer gets the
// name and how often it has been asked for, and returns its addresses.
func lyingResolver(t *testing.T, answer func(name string, nth int) []string) *net.Resolver {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		asked := map[string]int{}
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil || n < 12 {
				continue
			}
			_, _ = conn.WriteTo(reply(buffer[:n], asked, answer), from)
		}
	})
	t.Cleanup(func() { _ = conn.Close(); group.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

// reply makes the answer to a question of DNS (RFC 1035).
func reply(question []byte, asked map[string]int, answer func(string, int) []string) []byte {
	var labels []string
	at := 12
	for at < len(question) && question[at] != 0 {
		end := at + 1 + int(question[at])
		labels = append(labels, string(question[at+1:end]))
		at = end
	}
	kind := binary.BigEndian.Uint16(question[at+1:])
	name := strings.Join(labels, ".")
	question = question[:at+5]
	const typeA, typeAAAA = 1, 28
	var records [][]byte
	if kind == typeA || kind == typeAAAA {
		if kind == typeA {
			asked[name]++
		}
		for _, text := range answer(name, max(asked[name], 1)) {
			addr := netip.MustParseAddr(text)
			if addr.Is4() == (kind == typeA) {
				records = append(records, addr.AsSlice())
			}
		}
	}
	out := append([]byte(nil), question...)
	out[2], out[3] = 0x84, 0 // an answer, with authority
	binary.BigEndian.PutUint16(out[4:], 1)
	binary.BigEndian.PutUint16(out[6:], uint16(len(records)))
	binary.BigEndian.PutUint32(out[8:], 0)
	for _, record := range records {
		out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(len(record))) // no time to live
		out = append(out, record...)
	}
	return out
}
