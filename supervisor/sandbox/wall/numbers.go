package wall

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Numbers are those of users whom nobody is given, from one on to before another. Root
// has workers run as such users where it cannot make strangers of them.
type Numbers struct{ From, To int }

// Attackers are two whom no profile is given, for a scene that is attacked as such a user:
// whose the attacked profile is, and whose the one beside it.
func (n Numbers) Attackers() (user, other int) { return n.To, n.To + 1 }

// OwnNumbers are those that there are here: above those of Stranger; or, in a container
// that knows 65536 users only, those that systemd keeps for users whom it makes up
// (https://systemd.io/UIDS-GIDS).
func OwnNumbers() (Numbers, error) {
	for _, n := range ownNumbers() {
		if n.mapped("/proc/self/uid_map") && n.mapped("/proc/self/gid_map") {
			return n, nil
		}
	}
	return Numbers{}, errors.New("the container knows too few users")
}

func ownNumbers() []Numbers {
	return []Numbers{{firstOutside + mostOutside, 2_079_999_998}, {61_184, 65_518}}
}

// mapped reports whether this system or container knows them all. Each line of the map is a
// first number, what it is outside, and how many there are.
func (n Numbers) mapped(path string) bool {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return false
	}
	_, last := n.Attackers()
	for line := range strings.Lines(string(text)) {
		var first, outside, count int
		if read, _ := fmt.Sscan(line, &first, &outside, &count); read == 3 && first <= n.From && last < first+count {
			return true
		}
	}
	return false
}
