package store

import "context"

// MaxResumes is how often a response is gone on with whose process died. A turn that
// kills its process each time must come to an end.
const MaxResumes = 2

// Adopted is a response in the background whose process died, and which this Store
// has taken over.
type Adopted struct {
	// Response is what is stored of it, Outline, Input, Transcript and Request
	// included.
	Response
	// Messages are what was recorded of its run, none if that had not begun.
	Messages []Message
}

// Begun says whether a turn of it has begun.
func (a Adopted) Begun() bool { return a.Resumes > 0 || len(a.Messages) > 0 }

// Abandoned says whether a Store that is dead may have left work behind, and looks
// at no more than a directory for that.
func (s *Store) Abandoned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() || s.db != nil {
		return false
	}
	s.look()
	return s.unclean
}

// Adopted opens the file if need be, and hands out, each once, the responses that
// were taken over: in the background, made by a process that died, with a Request,
// and gone on with less than MaxResumes times. They are in flight, and must be put
// with an end.
func (s *Store) Adopted(ctx context.Context) ([]Adopted, error) {
	if _, err := s.open(ctx); err != nil {
		return nil, err
	}
	s.adopting.Lock()
	defer s.adopting.Unlock()
	adopted := s.adopted
	s.adopted = nil
	return adopted, nil
}

// adopt takes a response over, and says whether it did.
func (s *Store) adopt(ctx context.Context, tx *transaction, row responseRow, messages []Message) (*Adopted, error) {
	if s.opts.OnAdopt == nil || !row.Background || len(row.Request) == 0 || row.Resumes >= MaxResumes {
		return nil, nil
	}
	adopted := Adopted{Response: row.value(), Messages: messages}
	_, err := tx.ExecContext(ctx, `UPDATE responses SET owner = ?, resumes = resumes + ? WHERE turn_id = ?`, s.owner, adopted.Begun(), row.TurnID)
	return &adopted, err
}
