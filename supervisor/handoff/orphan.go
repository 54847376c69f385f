package handoff

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// OrphanSuffix ends the names of the sockets on which workers wait for another
// gateway.
const OrphanSuffix = ".orphan"

// orphanLimit is how long each side has for its part of the conversation.
const orphanLimit = 2 * time.Second

// Orphan is what a child needs to outlive its parent for a while.
type Orphan struct {
	// Socket is the path of the socket that it listens on then; empty is nowhere.
	Socket string `json:"socket"`
	// Nonce is what parent and child both know, and nobody else should. It stands in
	// the profile's lock file, where the next gateway finds it.
	Nonce string `json:"nonce"`
	// Host and Port are what the settings said of the listener's address, Schema is
	// the version of the tables that the parent's program knew.
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Schema int    `json:"schema"`
}

// The two who prove that they know the nonce.
const (
	proverGateway = "gateway"
	proverWorker  = "worker"
)

// proof shows that who knows the nonce, without telling it.
func proof(nonce, who string, m Message) string {
	mac := hmac.New(sha256.New, []byte(nonce))
	fmt.Fprintf(mac, "%s %s %d", who, m.Profile, m.Generation)
	return hex.EncodeToString(mac.Sum(nil))
}

// proves reports whether a message comes from who, knowing the nonce.
func (m Message) proves(nonce, who string, about Message) bool {
	return nonce != "" && hmac.Equal([]byte(m.Proof), []byte(proof(nonce, who, about)))
}

// Foundling is an orphan that was found and has yet to be adopted.
type Foundling struct {
	// Parent is the end of the connection that becomes the control socket.
	Parent *Parent
	// Start is what the worker was told, live settings included.
	Start Start
	// Report says how it stands: Ready, Closed, Drains, Busy and Jobs are set.
	Report Message
	// Lock is the file that holds the profile, Listener the worker's listener, nil if
	// it has none any more. Both are the caller's to close.
	Lock, Listener *os.File

	conn *net.UnixConn
}

// Close leaves the orphan where it is.
func (f *Foundling) Close() {
	_ = f.conn.Close()
	for _, file := range []*os.File{f.Lock, f.Listener} {
		if file != nil {
			_ = file.Close()
		}
	}
}

// Claim speaks to the orphan at the other end of conn, which it takes over. Nonce
// returns what is known of the profile that the orphan names.
func Claim(conn *net.UnixConn, nonce func(profile string) string) (_ *Foundling, err error) {
	f := &Foundling{conn: conn}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(orphanLimit)); err != nil {
		return nil, err
	}
	hello, err := NewDecoder(oneByOne{conn}).Decode()
	switch {
	case err != nil:
		return nil, fmt.Errorf("claim worker: %w", err)
	case hello.Kind != KindHello || hello.Version != Version:
		return nil, errors.New("claim worker: it does not say what is expected of one")
	}
	known := nonce(hello.Profile)
	claim := Message{Kind: KindClaim, Proof: proof(known, proverGateway, hello)}
	if err := Encode(conn, claim); err != nil {
		return nil, err
	}
	first, files, err := receiveFiles(conn, 2)
	if err != nil {
		return nil, fmt.Errorf("claim worker: %w", err)
	}
	for i, fd := range files {
		if i == 0 {
			f.Lock = os.NewFile(uintptr(fd), "lock")
		} else {
			f.Listener = os.NewFile(uintptr(fd), "listener")
		}
	}
	messages := NewDecoder(io.MultiReader(bytes.NewReader(first), conn))
	f.Report, err = messages.Decode()
	switch {
	case err != nil:
		return nil, fmt.Errorf("claim worker: %w", err)
	case f.Report.Kind != KindReport || f.Report.Start == nil || f.Lock == nil:
		return nil, errors.New("claim worker: its report is not complete")
	case !f.Report.proves(known, proverWorker, hello):
		return nil, errors.New("claim worker: it does not know what a worker of this profile must know")
	case f.Report.Start.Profile != hello.Profile || f.Report.Start.Generation != hello.Generation:
		return nil, errors.New("claim worker: it is another one than it says")
	}
	f.Start = *f.Report.Start
	f.Parent = &Parent{conn: conn, messages: messages}
	return f, conn.SetDeadline(time.Time{})
}

// Adopt makes the sender of the Foundling its parent. Log becomes the worker's
// stdout and stderr, and outside its way to egress, unless that is nil.
func (f *Foundling) Adopt(log, outside *os.File) error {
	if err := f.conn.SetWriteDeadline(time.Now().Add(orphanLimit)); err != nil {
		return err
	}
	files := []*os.File{log}
	if outside != nil {
		files = append(files, outside)
	}
	if err := sendFiles(f.conn, Message{Kind: KindAdopt}, files...); err != nil {
		return fmt.Errorf("adopt worker: %w", err)
	}
	return nil
}

// oneByOne keeps a Decoder from reading beyond its message: what follows may carry
// descriptors.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }
