//go:build !linux

package store_test

import (
	"errors"
	"testing"
)

func failSyncs() error { return errors.ErrUnsupported }

func smallDisk(t *testing.T) (dir string, grow func()) {
	t.Helper()
	t.Skip("only on Linux root can mount a small disk")
	return "", nil
}
