package profiles_test

import (
	"fmt"

	"hermes/profiles"
)

func ExampleParseName() {
	name, err := profiles.ParseName("Alice")
	fmt.Println(name, err)
	_, err = profiles.ParseName("../etc")
	fmt.Println(err)
	// Output:
	// alice <nil>
	// "../etc" is no name for a profile: use the letters a to z, digits, _ and - only, and begin with a letter or a digit
}
