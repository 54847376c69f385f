package worker

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hermes/supervisor/handoff"
	"hermes/worker/store"
)

// epilogue tells what is left of a story: the rows of the database, read as `hermes
// session export` does, and the files.
func (s *scene) epilogue(paths handoff.Paths) {
	s.t.Helper()
	archive := OpenArchive(paths.Database)
	defer archive.Close()
	sessions, err := archive.List(s.t.Context(), 10, false)
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortFunc(sessions, func(a, b Session) int { return a.Created.Compare(b.Created) })
	for i, session := range sessions {
		s.journal.section(fmt.Sprintf("the database holds session %d of %d, from %s: %q", i+1, len(sessions), session.Source, session.Title))
		s.session(archive, session.ID)
	}
	s.rest(archive.store, paths)
	s.leftFiles()
}

// session tells the rows of one session.
func (s *scene) session(archive *Archive, id string) {
	s.t.Helper()
	transcript, err := archive.Read(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	runs, err := archive.store.Runs(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	for i, run := range runs {
		line := fmt.Sprintf("run %d: %s after %d calls of the model, %d tokens in, %d out", i+1, run.Status, run.Iterations, run.Input, run.Output)
		if run.AwaitingUser {
			line += ", awaits the person"
		}
		if run.Error != "" {
			line += ": " + run.Error
		}
		s.journal.lines(line)
		calls, err := archive.store.ToolCalls(s.t.Context(), run.ID)
		if err != nil {
			s.t.Fatal(err)
		}
		s.entries(transcript.Entries, run.ID, calls)
	}
	if tasks, err := archive.store.Tasks(s.t.Context(), id); err != nil {
		s.t.Fatal(err)
	} else if tasks != nil {
		s.journal.lines("tasks: " + string(tasks))
	}
}

// entries tells the messages of one run. Results of calls that ran beside each other
// are there in the order in which they ended, which is chance; they are told in the
// order of the calls.
func (s *scene) entries(entries []Entry, runID string, calls []store.ToolCall) {
	position := map[string]int{}
	for i, call := range calls {
		position[call.ID] = i + 1
	}
	entries = slices.Clone(entries)
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.RunID != runID })
	for from := 0; from < len(entries); from++ {
		to := from
		for to < len(entries) && entries[to].CallID != "" {
			to++
		}
		slices.SortFunc(entries[from:to], func(a, b Entry) int { return cmp.Compare(position[a.CallID], position[b.CallID]) })
		from = to
	}
	for _, entry := range entries {
		switch {
		case entry.CallID != "" && position[entry.CallID] == 0:
			s.journal.lines(fmt.Sprintf("  tool %s, %s by the client: %s", entry.CallID, entry.Tool, summary(entry.Text)))
		case entry.CallID != "":
			call := calls[position[entry.CallID]-1]
			began := ""
			if call.Started.IsZero() {
				began = ", never begun"
			}
			s.journal.lines(fmt.Sprintf("  tool %s, %s %s%s: %s", entry.CallID, entry.Tool, call.Status, began, summary(entry.Text)))
		case entry.Text != "" || len(entry.Calls) == 0:
			s.journal.lines(fmt.Sprintf("  %s: %s", entry.Role, summary(entry.Text)))
		}
		for _, call := range entry.Calls {
			s.journal.lines(fmt.Sprintf("  %s calls %s: %s %s", entry.Role, call.ID, call.Name, call.Arguments))
		}
	}
}

// summary is the beginning of a text in one line: the rest stands further up.
func summary(text string) string {
	const limit = 200
	runes := []rune(strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", " ⏎ "))
	if len(runes) > limit {
		return string(runes[:limit]) + "…"
	}
	return string(runes)
}

// rest tells what else the database holds.
func (s *scene) rest(db *store.Store, paths handoff.Paths) {
	s.t.Helper()
	decisions, err := store.ReadDecisions(s.t.Context(), paths.Database, 10)
	if err != nil {
		s.t.Fatal(err)
	}
	for i, d := range decisions {
		if i == 0 {
			s.journal.section("of commands it holds the decisions")
		}
		s.journal.lines(fmt.Sprintf("%s %q: denied %v, class %q, setting %q", d.Tool, d.Command, d.Denied, d.Class, d.Setting))
	}
	jobs, err := db.Jobs(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for i, job := range jobs {
		if i == 0 {
			s.journal.section("of jobs it holds")
		}
		s.journal.lines(fmt.Sprintf("%s %q: %s, %s; output %q", job.ID, job.Command, job.Status, job.Ending, job.Output))
	}
}

// leftFiles tells the files of workspace, memory and skills.
func (s *scene) leftFiles() {
	s.t.Helper()
	s.journal.section("files")
	for _, dir := range []string{"workspace", "memories", "skills"} {
		root := filepath.Join(s.dir, dir)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if os.IsNotExist(err) || err == nil && (!entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".")) {
				return nil
			} else if err != nil {
				return err
			}
			content, err := os.ReadFile(path)
			s.journal.lines(fmt.Sprintf("%s: %q", strings.TrimPrefix(path, s.dir+"/"), content))
			return err
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
}
