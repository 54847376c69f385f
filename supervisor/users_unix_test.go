//go:build unix

package supervisor

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"hermes/profiles"
	"hermes/supervisor/sandbox/wall"
)

// usersOf are those of a new home with these profiles; the test is skipped if it is not
// run as root.
func usersOf(t *testing.T, names ...profiles.Name) (*users, []profiles.Profile) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root has users for profiles")
	}
	home, err := profiles.Open(filepath.Join(t.TempDir(), "home"))
	if err != nil {
		t.Fatal(err)
	}
	var all []profiles.Profile
	for _, name := range names {
		created, err := home.Create(t.Context(), profiles.CreateOptions{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, created.Profile)
	}
	return &users{home: home, from: wall.Numbers{From: 1_990_000_000, To: 2_000_000_000}, log: slog.New(slog.DiscardHandler)}, all
}

// userOf is the user that a profile gets.
func userOf(t *testing.T, u *users, p profiles.Profile) int {
	t.Helper()
	as, err := u.of(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if owner := wall.OwnerOf(filepath.Dir(p.Database())); owner != as || as.UID != as.GID {
		t.Errorf("user %+v, data of %+v", as, owner)
	}
	return as.UID
}

// Each profile has a user whom no other has, and keeps it over gateways; nobody is root
// or the owner of the home.
func TestProfilesHaveUsersOfTheirOwn(t *testing.T) {
	t.Parallel()
	u, all := usersOf(t, "alice", "bob", "carol", "dave")
	alice, bob, carol, dave := all[0], all[1], all[2], all[3]
	const owner = 1000
	dataOf := func(p profiles.Profile) string { return filepath.Dir(p.Database()) }
	err := errors.Join(os.Lchown(u.home.Dir(), owner, owner), os.Lchown(dataOf(bob), owner, owner), os.RemoveAll(dataOf(carol)))
	if err != nil {
		t.Fatal(err)
	}
	had := map[int]bool{0: true, owner: true}
	for _, p := range []profiles.Profile{alice, bob, carol} {
		number := userOf(t, u, p)
		if had[number] || number < u.from.From || number >= u.from.To {
			t.Errorf("%s is user %d", p.Name, number)
		}
		had[number] = true
		if again := userOf(t, u, p); again != number {
			t.Errorf("%s is user %d, then %d", p.Name, number, again)
		}
	}
	// The next gateway finds them, and one whose data somebody copied from another.
	number := userOf(t, u, alice)
	if err := os.Lchown(dataOf(dave), number, number); err != nil {
		t.Fatal(err)
	}
	next := &users{home: u.home, from: u.from, log: u.log}
	if kept := userOf(t, next, alice); kept != number && userOf(t, next, dave) != number {
		t.Errorf("neither has kept user %d", number)
	}
	if userOf(t, next, alice) == userOf(t, next, dave) {
		t.Error("two profiles have one user")
	}
	if !next.knows(userOf(t, next, bob)) || next.knows(owner) || (*users)(nil).knows(owner) {
		t.Error("it does not know whose its workers are")
	}
}

// A user whom the machine's admin has given a profile to stays.
func TestUsersOfAdminsStay(t *testing.T) {
	t.Parallel()
	u, all := usersOf(t, "alice")
	if err := os.Lchown(filepath.Dir(all[0].Database()), 4711, 0); err != nil {
		t.Fatal(err)
	}
	if as, err := u.of(t.Context(), all[0]); err != nil || as.UID != 4711 || as.GID != 4711 {
		t.Errorf("the user is %+v, %v", as, err)
	}
}
