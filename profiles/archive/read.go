package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// noFollow makes an open fail on a symbolic link.
const noFollow = syscall.O_NOFOLLOW

// ErrNone says that a file is no archive of a profile.
var ErrNone = errors.New("this is no archive of a profile that \"profile export\" has written")

// Reader reads an archive.
type Reader struct {
	// Manifest is what the archive says of itself. None of it is checked but the
	// format.
	Manifest Manifest

	packed   *counter
	unpacked *bounded
	tar      *tar.Reader
	seen     register
	links    []*tar.Header
}

// counter counts what is read through it.
type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

// Open reads the beginning of an archive. The error is ErrNone or says what is
// wrong with it.
func Open(from io.Reader) (*Reader, error) {
	r := &Reader{packed: &counter{from: bufio.NewReaderSize(from, 64<<10)}}
	gz, err := gzip.NewReader(r.packed)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, ErrNone // a text of a few bytes
	}
	if err != nil {
		return nil, broken(err)
	}
	r.unpacked = &bounded{from: gz, packed: r.packed}
	r.tar = tar.NewReader(r.unpacked)
	header, err := r.tar.Next()
	if err != nil {
		return nil, broken(err)
	}
	if header.Name != prefix+manifest || header.Typeflag != tar.TypeReg || header.Size > maxSettings {
		return nil, ErrNone
	}
	text, err := io.ReadAll(r.tar)
	if err != nil {
		return nil, broken(err)
	}
	if json.Unmarshal(text, &r.Manifest) != nil || r.Manifest.Format < 1 {
		return nil, ErrNone
	}
	if r.Manifest.Format > format {
		return nil, fmt.Errorf("the archive was made by a newer hermes (its format is %d, this one knows %d); import it with that one", r.Manifest.Format, format)
	}
	return r, nil
}

// broken gives the errors of the formats below a meaning. What the source says
// of itself stays.
func broken(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, gzip.ErrHeader):
		return ErrNone
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the archive is cut off; copy it again")
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("the archive is damaged (%w); copy it again", err)
	default:
		return err
	}
}

// bounded ends a stream that grows too much while it is unpacked. That is asked
// here, and not for each entry, because a header can be a bomb as well.
type bounded struct {
	from   io.Reader
	packed *counter
	n      int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	b.n += int64(n)
	if b.n > ratioSlack && b.n/maxRatio > b.packed.n {
		return n, fmt.Errorf("the archive grows to more than %d times its size when it is unpacked; it is not unpacked", maxRatio)
	}
	return n, err
}

// Unpack writes what is in the archive below an empty directory that nobody else
// knows of, files with mode 0600 and directories 0700; a file that its owner may
// run is 0700. When it fails, part of it may be there.
func (r *Reader) Unpack(ctx context.Context, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for {
		header, err := r.tar.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return broken(err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.entry(ctx, root, header); err != nil {
			return fmt.Errorf("%s in the archive: %w", shown(header.Name), err)
		}
	}
	// What follows the last entry is padding. Behind it is the sum over all.
	if n, err := io.CopyN(io.Discard, r.unpacked, maxPadding); !errors.Is(err, io.EOF) {
		if err == nil {
			err = fmt.Errorf("there are %d bytes behind its end", n)
		}
		return broken(err)
	}
	// Last, so that nothing was written through one of them.
	for _, link := range r.links {
		if err := root.Symlink(link.Linkname, place(link)); err != nil {
			return fmt.Errorf("%s in the archive: %w", shown(link.Name), err)
		}
	}
	return nil
}

// place is where an entry belongs in the profile.
func place(header *tar.Header) string {
	at := strings.TrimPrefix(header.Name, prefix)
	if header.Typeflag == tar.TypeDir {
		at = strings.TrimSuffix(at, "/")
	}
	return at
}

// entry checks one entry, and writes it.
func (r *Reader) entry(ctx context.Context, root *os.Root, header *tar.Header) error {
	if !strings.HasPrefix(header.Name, prefix) {
		return errors.New("it is no part of a profile")
	}
	at, dir := place(header), header.Typeflag == tar.TypeDir
	if err := Fit(at); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeDir:
		// A file with holes is as large as its header likes, whatever there is of it.
		if sparse(header) {
			return errors.New("it is a file with holes, which an archive of a profile has none of")
		}
	case tar.TypeSymlink:
		if err := linkFits(at, header.Linkname); err != nil {
			return fmt.Errorf("the link cannot be taken: %w", err)
		}
	case tar.TypeLink:
		return errors.New("it is a hard link, which an archive of a profile has none of")
	default:
		return errors.New("it is neither a file nor a directory")
	}
	if !known(at, dir) {
		return errors.New("it is no part of a profile")
	}
	if err := r.seen.add(at, dir, header.Size); err != nil {
		return err
	}
	parent := at
	if !dir {
		parent = path.Dir(at)
	}
	if err := root.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeSymlink:
		r.links = append(r.links, header)
		return nil
	case tar.TypeDir:
		return nil
	default:
		return r.file(ctx, root, at, header)
	}
}

func sparse(header *tar.Header) bool {
	for key := range header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// file writes one file. What a profile is made of is on disk then; the workspace
// is what a crash may cost.
func (r *Reader) file(ctx context.Context, root *os.Root, at string, header *tar.Header) error {
	mode := fs.FileMode(0o600)
	if header.Mode&0o100 != 0 && strings.HasPrefix(at, Workspace+"/") {
		mode = 0o700
	}
	f, err := root.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY|noFollow, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &ended{ctx: ctx, from: r.tar})
	if err != nil {
		err = broken(err)
	} else {
		err = f.Chmod(mode)
	}
	if err == nil && !strings.HasPrefix(at, Workspace+"/") {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	// A time that no file system knows is not worth an error.
	_ = root.Chtimes(at, time.Time{}, header.ModTime)
	return nil
}

// ended is a reader that ends with its context.
type ended struct {
	ctx  context.Context //nolint:containedctx // it lives as long as the copy that reads it
	from io.Reader
}

func (e *ended) Read(p []byte) (int, error) {
	if e.ctx.Err() != nil {
		return 0, context.Cause(e.ctx)
	}
	return e.from.Read(p)
}
