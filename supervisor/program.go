package supervisor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"hermes/supervisor/handoff"
	"hermes/supervisor/sandbox"
)

// programLimit is how long a program has to say what it is.
const programLimit = 10 * time.Second

// Program is what a binary says of itself, as a part of: hermes version --json.
type Program struct {
	Version string `json:"version"`
	// Handoff is the version of the messages that it speaks with workers, Carry that
	// of what it can take over from a running gateway, Schema that of the tables in a
	// profile's database.
	Handoff int `json:"handoff"`
	Carry   int `json:"carry"`
	Schema  int `json:"schema"`
}

// ThisProgram is what this binary is to say.
func ThisProgram(version string, schema int) Program {
	return Program{Version: version, Handoff: handoff.Version, Carry: CarryVersion, Schema: schema}
}

// probe asks a binary what it is, and returns an error for a person if it could not
// go on with what this gateway does.
func probe(ctx context.Context, children *sandbox.Children, path string, environ []string) (Program, error) {
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	cmd := exec.Command(path, "version", "--json") //nolint:noctx // it is ended below, through children
	cmd.Env = handoff.Environ(environ)
	cmd.Stdout = &limitedBuffer{&out, 64 << 10}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.WaitDelay = time.Second
	err := children.Start(cmd)
	if err == nil {
		stop := context.AfterFunc(ctx, func() { _ = children.Signal(cmd, syscall.SIGKILL) }) // it may have ended
		err = children.Wait(cmd)
		stop()
	}
	var p Program
	switch {
	case ctx.Err() != nil:
		return p, fmt.Errorf("%s does not say which hermes it is within %v; it is not used", path, programLimit)
	case err != nil:
		return p, fmt.Errorf("%s does not run here (%w); it is not used", path, bareExec(err))
	case json.Unmarshal(out.Bytes(), &p) != nil:
		return p, fmt.Errorf("%s is no hermes; it is not used", path)
	case p.Carry != CarryVersion:
		return p, fmt.Errorf("%s (%s) cannot take over from a running gateway of this version; stop the gateway and start that one instead", path, p.Version)
	default:
		return p, nil
	}
}

// bareExec leaves out what the sentence says anyway.
func bareExec(err error) error {
	if failed, ok := errors.AsType[*os.PathError](err); ok {
		return failed.Err
	}
	return err
}

// limitedBuffer keeps the beginning of what is written to it.
type limitedBuffer struct {
	to   *bytes.Buffer
	left int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.to.Write(p[:min(len(p), b.left)])
	b.left -= min(len(p), b.left)
	return len(p), nil
}

// sumOf stands for the contents of a program.
func sumOf(path string) (string, error) {
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// ownSum is the sum of the program that runs, even if its file has been replaced.
func ownSum(exe string) (string, error) {
	if sum, err := sumOf("/proc/self/exe"); err == nil {
		return sum, nil
	}
	return sumOf(exe)
}
