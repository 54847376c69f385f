package main

import (
	_ "embed" // the profile
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// apparmorPlace is where AppArmor looks for its profiles.
const apparmorPlace = "/etc/apparmor.d/hermes"

//go:embed units/apparmor
var apparmorTemplate string

func newDeployAppArmorCmd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "apparmor",
		Short: "Print a profile for AppArmor that allows namespaces",
		Long: `Print a profile for AppArmor 4 or later, as Ubuntu 24.04 has it. That lets only
programs that have a profile make user namespaces, of which the walls around
commands are made. It restricts nothing: what commands may do, their walls say.`,
		Example: "  hermes deploy apparmor | sudo tee " + apparmorPlace + "\n  sudo apparmor_parser -r " + apparmorPlace,
		Args:    words(),
		RunE:    func(*cobra.Command, []string) error { return deployAppArmorRun(a) },
	}
}

func deployAppArmorRun(a *app) error {
	exe, err := executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if exe, err = unitWord(exe); err != nil {
		return err
	}
	_, err = strings.NewReplacer("{place}", apparmorPlace, "{exec}", exe).WriteString(a.out, apparmorTemplate)
	return err
}
