package pdf

import (
	"fmt"
	"io"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// What the process that reads a document may use. The largest honest ones that
// the body of a request has room for need a tenth of it.
const (
	maxSeconds = 10
	maxMemory  = 512 << 20
	maxStack   = 32 << 20
	// maxInput is more than a body can hold, see api.Options.MaxBodyBytes.
	maxInput = 64 << 20
)

// Main is what the process does that reads one document: it writes at most limit
// bytes of the text of what it finds on in to out. The error is one that
// Reader.Text returns. The limits that it sets hold for the whole process, which
// has nothing else to do.
func Main(in io.Reader, out io.Writer, limit int) error {
	debug.SetMaxStack(maxStack)
	debug.SetMemoryLimit(maxMemory / 2) // collect rather than grow
	for resource, most := range map[int]uint64{unix.RLIMIT_CPU: maxSeconds, unix.RLIMIT_DATA: maxMemory} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: most, Max: most}); err != nil {
			return fmt.Errorf("limit process: %w", err)
		}
	}
	data, err := io.ReadAll(io.LimitReader(in, maxInput))
	if err != nil {
		return fmt.Errorf("read document: %w", err)
	}
	text, err := newDocument(limit).read(data)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, text); err != nil {
		return fmt.Errorf("write text: %w", err)
	}
	return nil
}
