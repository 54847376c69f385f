// Package archive is the file that a profile is carried in: a gzipped tar of
// plain files, directories and, in the workspace, links that stay there.
//
// Who wrote an archive is unknown when it is read. Whatever Unpack takes lies
// below the one directory that it was given, has the place of something that a
// profile is made of, and is bounded in number and size; everything else is
// refused, and the Writer makes nothing that would be.
package archive

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The places in an archive that have a meaning of their own.
const (
	Config    = "config.yaml"
	Env       = ".env"
	Soul      = "SOUL.md"
	Database  = "data/state.db"
	Memories  = "memories"
	Skills    = "skills"
	Workspace = "workspace"
)

const (
	// format is the version of the layout. One that is newer is not read.
	format = 1
	// prefix is the directory that all names begin with, so that who unpacks an
	// archive by hand has one directory and not a dozen.
	prefix   = "hermes-profile/"
	manifest = "manifest.json"
)

// What an archive may hold at most. A profile that has more is exported without
// its workspace.
const (
	maxEntries  = 200_000
	maxFile     = 8 << 30
	maxTotal    = 32 << 30
	maxSettings = 1 << 20 // each of manifest, config.yaml, .env and SOUL.md
	maxPath     = 1024    // bytes of a name
	maxDepth    = 64
	maxPadding  = 1 << 20  // bytes behind the last entry
	maxNames    = 32 << 20 // bytes of all names together, which are kept in memory
	// An archive may grow to maxRatio times its size when it is unpacked, and to
	// ratioSlack anyway: gzip makes 1,000 bytes of one if they are all the same, as
	// the empty pages of a database are.
	maxRatio   = 200
	ratioSlack = 256 << 20
)

// Manifest is what an archive says of itself. It holds no time: two archives of
// one state are the same bytes.
type Manifest struct {
	Format int `json:"format"`
	// Name is the profile's name.
	Name string `json:"name"`
	// MadeBy is the program that wrote the archive, with its version.
	MadeBy string `json:"made_by"`
	// Secrets says that the API key and the provider keys are in it.
	Secrets bool `json:"secrets"`
	// Workspace says that the workspace is in it.
	Workspace bool `json:"workspace"`
}

// Fit says why a file or directory cannot be in an archive, or nil. at is its
// path in the profile's directory, with slashes.
func Fit(at string) error {
	switch {
	case at == "" || at != path.Clean(at) || path.IsAbs(at) || at == ".." || strings.HasPrefix(at, "../"):
		return errors.New("it would lead out of the profile")
	case !utf8.ValidString(at) || strings.ContainsFunc(at, func(r rune) bool { return unicode.IsControl(r) || r == '\\' }):
		return errors.New("its name holds bytes that are no text, a control character or a backslash")
	case len(at) > maxPath || strings.Count(at, "/") >= maxDepth:
		return fmt.Errorf("its path is longer than %d bytes or %d directories", maxPath, maxDepth)
	}
	for part := range strings.SplitSeq(at, "/") {
		if len(part) > 255 {
			return errors.New("its name is longer than 255 bytes")
		}
	}
	return nil
}

// known reports whether a profile is made of what lies at a place.
func known(at string, dir bool) bool {
	top, _, below := strings.Cut(at, "/")
	switch top {
	case Memories, Skills, Workspace:
		return below || dir
	case path.Dir(Database):
		return dir && !below || !dir && at == Database
	default:
		return !dir && (at == Config || at == Env || at == Soul)
	}
}

// linkFits says why a link cannot be in an archive, or nil. It leads upwards
// first and then down, and never out of the workspace: as its own directory is
// real and each further link on its way is like it, no chain of links leads out
// either.
func linkFits(at, target string) error {
	if !strings.HasPrefix(at, Workspace+"/") {
		return errors.New("only the workspace may have links")
	}
	if target == "" || path.IsAbs(target) || len(target) > maxPath || strings.ContainsFunc(target, unicode.IsControl) || !utf8.ValidString(target) {
		return errors.New("it leads out of the workspace")
	}
	up, down := 0, false
	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == ".." && down:
			return errors.New("it leads down and up again, which may lead out of the workspace")
		case part == "..":
			up++
		case part != "." && part != "":
			down = true
		}
	}
	if up > strings.Count(at, "/")-1 {
		return errors.New("it leads out of the workspace")
	}
	return nil
}

// folded is what two names have in common that are one file on a system which
// does not tell capital letters, or ways to write an accent, apart.
func folded(at string) string { return strings.ToLower(strings.ToUpper(norm.NFC.String(at))) }

// register is what an archive holds so far.
type register struct {
	entries map[string]bool // by folded path; whether it is a directory
	count   int
	names   int
	total   int64
}

// add takes an entry and the directories that it lies in, or says why not.
func (r *register) add(at string, dir bool, size int64) error {
	if r.entries == nil {
		r.entries = map[string]bool{}
	}
	for i, c := range at {
		if c != '/' {
			continue
		}
		if isDir, taken := r.entries[folded(at[:i])]; taken && !isDir {
			return fmt.Errorf("%s is a file and a directory", at[:i])
		} else if !taken {
			if err := r.enter(at[:i], true); err != nil {
				return err
			}
		}
	}
	isDir, taken := r.entries[folded(at)]
	switch {
	case taken && (!dir || !isDir):
		return errors.New("it is there twice, or differs from another one in capital letters only")
	case size > maxFile:
		return fmt.Errorf("it is larger than %d GiB", maxFile>>30)
	case size > maxSettings && (at == Config || at == Env || at == Soul):
		return fmt.Errorf("it is larger than %d MiB", maxSettings>>20)
	case r.total+size > maxTotal:
		return fmt.Errorf("with it there is more than %d GiB", maxTotal>>30)
	}
	r.total += size
	if taken {
		return nil
	}
	return r.enter(at, dir)
}

// enter enters one name.
func (r *register) enter(at string, dir bool) error {
	key := folded(at)
	if r.count++; r.count > maxEntries {
		return fmt.Errorf("with it there are more than %d files and directories", maxEntries)
	}
	if r.names += len(key); r.names > maxNames {
		return fmt.Errorf("with it the names have more than %d MiB", maxNames>>20)
	}
	r.entries[key] = dir
	return nil
}

// shown is a name of an archive in a sentence.
func shown(name string) string {
	if len(name) > 200 {
		name = name[:200] + "…"
	}
	return strconv.QuoteToGraphic(name)
}
