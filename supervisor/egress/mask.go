package egress

import (
	"bytes"
	"encoding/json"
	"slices"
)

// maxMasked is the length of the longest secret that is looked for in answers. What
// is longer is no key.
const maxMasked = 8 << 10

// mask is what is looked for in the body of an answer, as it comes: a provider that
// repeats the key does so in the middle of a stream too, and the worker, which does
// not have it, cannot look.
type mask [][]byte

// newMask takes the secrets as they are, and as they stand in JSON.
func newMask(secrets []string) mask {
	var m mask
	for _, secret := range secrets {
		if len(secret) < redactWindow || len(secret) > maxMasked {
			continue
		}
		m = append(m, []byte(secret))
		quoted, err := json.Marshal(secret)
		if err != nil {
			continue // no string fails to encode
		}
		if quoted = quoted[1 : len(quoted)-1]; string(quoted) != secret && len(quoted) <= maxMasked {
			m = append(m, quoted)
		}
	}
	// The longest first: one may hold another.
	slices.SortFunc(m, func(a, b []byte) int { return len(b) - len(a) })
	return m
}

// hide puts stars in place of the secrets, so that the length stays, and returns how
// many bytes at the end may be the beginning of one. They have to come again, with
// what follows.
func (m mask) hide(data []byte) (begun int) {
	for _, secret := range m {
		for from := 0; ; {
			at := bytes.Index(data[from:], secret)
			if at < 0 {
				break
			}
			from += at + len(secret)
			for i := from - len(secret); i < from; i++ {
				data[i] = '*'
			}
		}
		begun = max(begun, beginning(data, secret))
	}
	return begun
}

// beginning is how many bytes at the end of data are the beginning of a secret, and not
// all of it.
func beginning(data, secret []byte) int {
	for n := min(len(data), len(secret)-1); n > 0; n-- {
		if data[len(data)-1] == secret[n-1] && bytes.HasSuffix(data, secret[:n]) {
			return n
		}
	}
	return 0
}
