package wall_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hermes/supervisor/sandbox/wall"
)

// becomesMain becomes another user, with secure bits, and says what it is then.
func becomesMain(bits string) int {
	number, err := strconv.Atoi(bits)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_SECUREBITS, uintptr(number), 0, 0, 0)
	}
	if err == nil {
		err = wall.Become(wall.Identity{UID: nobody, GID: nobody}, "/")
	}
	status, _ := os.ReadFile("/proc/thread-self/status")
	fmt.Println(err)
	fmt.Print(string(status))
	return 0
}

// Who becomes another user has no capability left, or has not become it.
func TestCapabilitiesGoWithTheUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	for bits, refused := range map[string]bool{"0": false, "4": true, "16": true} {
		out, err := exec.CommandContext(t.Context(), os.Args[0], "becomes", bits).CombinedOutput()
		said := string(out)
		become := strings.HasPrefix(said, "<nil>") && strings.Contains(said, "\nCapPrm:\t0000000000000000\n") && strings.Contains(said, "\nUid:\t65534\t65534\t65534\t65534\n")
		switch {
		case err != nil:
			t.Errorf("bits %s: %v %s", bits, err, said)
		case refused && !strings.HasPrefix(said, "become user 65534: capabilities would stay"), !refused && !become:
			t.Errorf("bits %s: %s", bits, said)
		}
	}
}
