package supervisor

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"hermes/supervisor/egress"
)

// What was used outlives a gateway, also one that served other profiles; a file that
// cannot be read is passed over.
func TestWhatWasUsedOutlivesTheGateway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	used := func(all map[string]egress.Used) func() map[string]egress.Used {
		return func() map[string]egress.Used { return maps.Clone(all) }
	}
	one, two := keepIn(filepath.Join(dir, "all.used"), log), keepIn(filepath.Join(dir, "alice.used"), log)
	one.close(used(map[string]egress.Used{"alice": {Day: 9, Bytes: 5, Tokens: 7}, "bob": {Day: 9, Bytes: 1}, "carol": {Day: 8, Bytes: 1}}))
	two.close(used(map[string]egress.Used{"alice": {Day: 9, Bytes: 8, Tokens: 6}}))
	if err := os.WriteFile(filepath.Join(dir, "broken.used"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]egress.Used{"alice": {Day: 9, Bytes: 8, Tokens: 7}, "bob": {Day: 9, Bytes: 1}}
	if got := keepIn(filepath.Join(dir, "all.used"), log).read(); !maps.Equal(got, want) {
		t.Errorf("known is %v, want %v", got, want)
	}
	info, err := os.Stat(one.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
}
