package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hermes/configs"
	"hermes/profiles"
	"hermes/supervisor/handoff"
)

// The exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	// exitUsage: the command line itself is wrong, and running it again will not
	// help.
	exitUsage = 2
	// exitConfig: settings are missing or wrong. EX_CONFIG of sysexits.h, which
	// service managers can be told not to restart on.
	exitConfig = handoff.ExitConfig
	// exitInterrupted: ended by Ctrl-C, as shells count it (128 + SIGINT).
	exitInterrupted = 130
)

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error // nil: everything has been said already
	help bool  // the command's help has more to say
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usagef is a mistake in the command line.
func usagef(format string, args ...any) error {
	return &exitError{code: exitUsage, err: fmt.Errorf(format, args...), help: true}
}

// configf is a setting that is missing or wrong.
func configf(format string, args ...any) error {
	return &exitError{code: exitConfig, err: fmt.Errorf(format, args...)}
}

// silent ends a command that has said what is wrong already.
func silent(code int) error { return &exitError{code: code} }

// report prints what went wrong, one line of what and how to mend it, and
// returns the exit code. Several bad settings are a line each.
func (a *app) report(ctx context.Context, cmd *cobra.Command, err error) int {
	var exit *exitError
	var problems *configs.Problems
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit) && exit.err == nil:
		return exit.code
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return exitInterrupted
	case exit != nil && exit.help:
		a.errorf("%s; see %s --help", oneLine(err), cmd.CommandPath())
		return exit.code
	case exit != nil:
		a.errorf("%s", oneLine(err))
		return exit.code
	case errors.As(err, &problems):
		a.problems(problems)
		return exitConfig
	default:
		a.errorf("%s", a.explain(err))
		return exitFailure
	}
}

// explain adds the next step to errors of other packages that do not know the
// command line they were called from.
func (a *app) explain(err error) string {
	if missing, ok := errors.AsType[*profiles.NotFound](err); ok {
		return fmt.Sprintf("profile %s does not exist; create it with: %s", missing.Name, a.command("profile", "create", string(missing.Name)))
	}
	return oneLine(err)
}

// problems prints bad settings, each with the place to mend it.
func (a *app) problems(problems *configs.Problems) {
	for _, p := range problems.List {
		a.errorf("%s", oneLine(p))
	}
}

// errorf writes a line to stderr that begins with the program's name.
func (a *app) errorf(format string, args ...any) {
	a.eprintf("hermes: %s\n", printable(fmt.Sprintf(format, args...)))
}

// oneLine returns the text of err without line breaks; joined errors are parted
// by semicolons.
func oneLine(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return strings.Join(lines, "; ")
}

// flagError rewords what pflag says about a bad flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	var lacking *pflag.ValueRequiredError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usagef("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		name := unknown.GetSpecifiedName()
		return usagef("unknown flag --%s%s", name, didYouMean(nearestFlag(cmd, name)))
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "int":
		return usagef("--%s must be a whole number, not %q", invalid.GetFlag().Name, invalid.GetValue())
	case errors.As(err, &invalid):
		return usagef("--%s cannot be %q", invalid.GetFlag().Name, invalid.GetValue())
	case errors.As(err, &lacking):
		return usagef("--%s needs a value", lacking.GetFlag().Name)
	default:
		return usagef("%w", err)
	}
}

func didYouMean(word string) string {
	if word == "" {
		return ""
	}
	return "; did you mean " + word + "?"
}

// nearestFlag returns the flag of cmd that name most likely stands for, or "".
func nearestFlag(cmd *cobra.Command, name string) string {
	best, distance := "", 3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := configs.EditDistance(name, f.Name); !f.Hidden && d < distance {
			best, distance = "--"+f.Name, d
		}
	})
	return best
}
