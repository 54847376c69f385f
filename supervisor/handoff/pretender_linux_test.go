package handoff

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pretender is what somebody has got out of a worker.
type pretender struct {
	heard []byte
	found descriptors
}

// lockFile is what a worker holds its profile with.
func lockFile(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// Who does not know the nonce is told nothing by a worker that waits for a gateway,
// and is given nothing, whatever else it knows.
func TestPretendersAreToldNothing(t *testing.T) {
	t.Parallel()
	const nonce, secret = "a nonce", "sk-canary-of-a-worker"
	about := Message{Profile: "alice", Generation: 1}
	for name, test := range map[string]struct {
		proof string
		told  bool
	}{
		"nothing": {"", false}, "rubbish": {"00", false}, "another nonce": {proof("another", proverGateway, about), false},
		"no nonce": {proof("", proverGateway, about), false}, "the worker's own": {proof(nonce, proverWorker, about), false},
		"another worker's": {proof(nonce, proverGateway, Message{Profile: "bob", Generation: 1}), false},
		"a gateway":        {proof(nonce, proverGateway, about), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := pairOfUnix(t)
			child := newChild(ours, time.Hour)
			child.lock = int(lockFile(t).Fd())
			child.told.Store(&Start{Profile: "alice", Generation: 1, Redact: []string{secret}, Orphan: Orphan{Nonce: nonce}})
			p := make(chan pretender)
			go func() {
				var got pretender
				_, _ = NewDecoder(oneByOne{theirs}).Decode() // its hello
				_ = Encode(theirs, Message{Kind: KindClaim, Proof: test.proof})
				first, found, err := receiveFiles(theirs, 2)
				if err == nil {
					rest := make([]byte, 8<<10)
					n, _ := theirs.Read(rest)
					got = pretender{heard: append(first, rest[:n]...), found: found}
				}
				_ = theirs.Close()
				p <- got
			}()
			_, err := child.claimed(ours)
			_ = ours.Close()
			got := <-p
			defer got.found.close()
			if err == nil {
				t.Error("it has been adopted")
			}
			if told := strings.Contains(string(got.heard), secret) && len(got.found) > 0; told != test.told || len(got.heard) > 0 != test.told {
				t.Errorf("it is told %q, with %d descriptors", got.heard, len(got.found))
			}
		})
	}
}

// Who does not know the nonce is not taken for a worker either, though all that it
// says is as a worker's.
func TestPretendersAreNotTakenForWorkers(t *testing.T) {
	t.Parallel()
	const nonce = "a nonce"
	hello := Message{Kind: KindHello, Version: Version, Profile: "alice", Generation: 1}
	for name, test := range map[string]struct {
		proof string
		taken bool
	}{
		"nothing": {"", false}, "another nonce": {proof("another", proverWorker, hello), false}, "the gateway's own": {"mirror", false},
		"a worker": {proof(nonce, proverWorker, hello), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := pairOfUnix(t)
			lock := lockFile(t)
			over := make(chan error, 1)
			go func() {
				err := Encode(theirs, hello)
				claim, failed := NewDecoder(oneByOne{theirs}).Decode()
				says := test.proof
				if says == "mirror" {
					says = claim.Proof
				}
				report := Message{Kind: KindReport, Start: &Start{Profile: "alice", Generation: 1}, Proof: says}
				err = errors.Join(err, failed, sendFiles(theirs, report, lock))
				_, _ = io.Copy(io.Discard, theirs)
				over <- err
			}()
			found, err := Claim(ours, func(string) string { return nonce })
			if (err == nil) != test.taken {
				t.Errorf("it is taken: %v", err)
			}
			if found != nil {
				found.Close()
			}
			_ = ours.Close()
			if err := <-over; err != nil {
				t.Error(err)
			}
		})
	}
}
